"""The style sheet of the report, light and dark, without outside resources."""

from __future__ import annotations

STYLE = """
:root { --ground:#fbfbf9; --card:#ffffff; --ink:#1d2129; --soft:#666e7a; --line:#e3e4e0; --accent:#0b6e6e;
  --bad:#b3261e; --a:#0b6e6e; --b:#d8973c; --c:#4b5fa9; --d:#8a5a83; }
@media (prefers-color-scheme: dark) { :root { --ground:#14171c; --card:#1c2027; --ink:#e7e9ec; --soft:#9aa3af;
  --line:#2c323b; --accent:#4fc3b8; --bad:#ff8a80; --a:#4fc3b8; --b:#e5ad5c; --c:#8c9eea; --d:#c292bb; } }
* { box-sizing:border-box; }
body { margin:0; background:var(--ground); color:var(--ink);
  font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif; }
main { max-width:64rem; margin:0 auto; padding:3rem 1.25rem 4rem; }
h1 { font-size:2rem; line-height:1.2; margin:0 0 .4rem; letter-spacing:-.01em; }
h2 { font-size:1.15rem; margin:2.6rem 0 .8rem; }
p { margin:.3rem 0; max-width:46rem; } .soft { color:var(--soft); }
.cards { display:grid; grid-template-columns:repeat(auto-fit,minmax(11rem,1fr)); gap:.8rem; margin-top:1.6rem; }
.card { background:var(--card); border:1px solid var(--line); border-radius:.7rem; padding:.9rem 1rem; }
.card b { display:block; font-size:1.65rem; font-weight:650; font-variant-numeric:tabular-nums; }
.card span { color:var(--soft); font-size:.88rem; }
.seen { display:flex; flex-wrap:wrap; align-items:center; gap:1.2rem; }
.seen figure { margin:0; } .seen img { width:9rem; height:9rem; }
figcaption { color:var(--soft); font-size:.86rem; margin-top:.35rem; }
img { image-rendering:pixelated; border-radius:.4rem; display:block; }
.digits { display:grid; grid-template-columns:repeat(auto-fill,minmax(6.2rem,1fr)); gap:.7rem; }
.digit { background:var(--card); border:1px solid var(--line); border-radius:.6rem; padding:.55rem; margin:0; }
.digit img { width:100%; aspect-ratio:1; } .digit.wrong { border-color:var(--bad); }
.digit .says { display:flex; justify-content:space-between; font-size:.82rem; margin-top:.35rem; color:var(--soft); }
.digit .says b { color:var(--ink); } .digit.wrong .says b { color:var(--bad); }
.bar { display:flex; height:1.5rem; border-radius:.4rem; overflow:hidden; margin:.2rem 0 .8rem; }
.bar i { display:block; min-width:2px; }
.key { display:inline-block; width:.75rem; height:.75rem; border-radius:.2rem; margin-right:.45rem; }
.scroll { overflow-x:auto; background:var(--card); border:1px solid var(--line); border-radius:.7rem; }
table { border-collapse:collapse; width:100%; font-variant-numeric:tabular-nums; font-size:.94rem; }
th,td { padding:.45rem .9rem; text-align:right; border-bottom:1px solid var(--line); white-space:nowrap; }
th:first-child,td:first-child { text-align:left; } tr:last-child td { border-bottom:0; }
th { color:var(--soft); font-weight:500; font-size:.85rem; }
.a { background:var(--a); } .b { background:var(--b); } .c { background:var(--c); } .d { background:var(--d); }
"""
