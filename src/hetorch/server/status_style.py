"""The style sheet of the status page."""

from __future__ import annotations

STYLE = """
:root { color-scheme: light dark; --ground: #fff; --text: #1c2024; --muted: #5a6169; --line: #d5d9de; --card: #f5f7f9;
  --good: #11663a; --bad: #b3261e; --link: #0b57d0; }
@media (prefers-color-scheme: dark) {
  :root { --ground: #14171a; --text: #e8eaed; --muted: #a5acb4; --line: #3a4047; --card: #1d2125; --good: #6fd49a;
    --bad: #ff9d94; --link: #9ec1ff; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 72rem; padding: 1rem; background: var(--ground); color: var(--text);
  font: 1rem/1.45 system-ui, sans-serif; overflow-wrap: anywhere; }
header { display: flex; flex-wrap: wrap; gap: .25rem 1rem; align-items: baseline;
  border-bottom: 1px solid var(--line); }
h1 { font-size: 1.4rem; margin: 0; }
h2 { font-size: 1.05rem; margin: 1.5rem 0 .5rem; }
p { margin: .25rem 0 .75rem; }
a { color: var(--link); }
a:focus-visible { outline: 3px solid var(--link); outline-offset: 2px; }
.muted, dt, th, time { color: var(--muted); }
.good { color: var(--good); font-weight: 600; }
.bad { color: var(--bad); font-weight: 600; }
.groups { display: grid; grid-template-columns: repeat(auto-fill, minmax(16rem, 1fr)); gap: 0 1rem; }
dl { margin: 0; padding: .5rem .75rem; background: var(--card); border: 1px solid var(--line); border-radius: .5rem; }
dl div { display: flex; justify-content: space-between; gap: 1rem; padding: .15rem 0; }
dd { margin: 0; text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
table { width: 100%; border-collapse: collapse; }
th, td { padding: .35rem .5rem .35rem 0; text-align: left; border-bottom: 1px solid var(--line); vertical-align: top; }
th { font-weight: 500; }
.number { text-align: right; font-variant-numeric: tabular-nums; }
.number, thead th, th.process, .plan { white-space: nowrap; overflow-wrap: normal; }
@media (max-width: 30rem) { .plan { display: none; } }
ol { margin: 0; padding: 0; list-style: none; }
li { padding: .4rem 0; border-bottom: 1px solid var(--line); }
code { font: .9em ui-monospace, monospace; }
"""
