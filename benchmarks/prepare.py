"""Install every peer and train every network, so that the other benchmarks need not. This measures nothing."""

from __future__ import annotations

from benchmarks.arguments import arguments
from benchmarks.networks import NETWORKS, prepare
from benchmarks.peers.environment import PeerMissingError, interpreter, version_in
from benchmarks.peers.recipes import RECIPES


def main() -> None:
    """Print which peers and networks are there; a peer that cannot be installed is no error."""
    arguments(__doc__ or "")
    for name, recipe in RECIPES.items():
        try:
            version = version_in(interpreter(recipe), recipe.distribution)
            print(f"{name}: {recipe.title} {version}", flush=True)
        except PeerMissingError as error:
            print(f"{name}: {error}", flush=True)
    for name, network in NETWORKS.items():
        prepared = prepare(name)
        accuracy = "" if network.data == "features" else f", {prepared.accuracy:.1%} right in clear"
        print(f"{name}: {network.title}{accuracy}", flush=True)


if __name__ == "__main__":
    main()
