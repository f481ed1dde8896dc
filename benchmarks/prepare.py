"""Not a measurement: installs every peer and trains every network, so that the other benchmarks begin at once."""

from __future__ import annotations

from benchmarks.networks import NETWORKS, prepare
from benchmarks.output import arguments
from benchmarks.peers.environment import PeerMissingError, interpreter, version_in
from benchmarks.peers.recipes import RECIPES


def main() -> None:
    """Say of each what is there; a peer that cannot be installed is no error."""
    arguments(__doc__ or "")
    for name, recipe in RECIPES.items():
        try:
            version = version_in(interpreter(recipe), recipe.distribution)
            print(f"{name}: {recipe.title} {version}", flush=True)
        except PeerMissingError as error:
            print(f"{name}: {error}", flush=True)
    for name, network in NETWORKS.items():
        prepared = prepare(name)
        told = "" if network.data == "features" else f", {prepared.accuracy:.1%} right in clear"
        print(f"{name}: {network.title}{told}", flush=True)


if __name__ == "__main__":
    main()
