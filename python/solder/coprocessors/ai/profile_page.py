"""The page of a model's profile: one HTML file without scripts or anything from elsewhere."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from solder.coprocessors.ai.profile_result import ModelProfile

__all__ = ["page"]

_STYLE = """
:root { --structured: #2f6f9f; --glue: #d98c3f; --line: #d5d9de; --ink: #1d2329; --paper: #fff; --faint: #66707a }
@media (prefers-color-scheme: dark) { :root { --line: #3a424b; --ink: #e4e8ec; --paper: #14181c; --faint: #97a1ab } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper) }
body { max-width: 62rem; margin: 2rem auto; padding: 0 1rem } p { margin: .3rem 0 } .faint { color: var(--faint) }
h1 { font-size: 1.4rem; margin: 0 } h2 { font-size: 1.05rem; margin: 2rem 0 .4rem }
.bar { display: flex; height: 2.6rem; border-radius: 4px; overflow: hidden; margin: 1rem 0 .3rem }
.bar span { display: flex; align-items: center; justify-content: center; white-space: nowrap; overflow: hidden }
.bar span { color: #fff; font-weight: 600 }
.structured { background: var(--structured) } .glue { background: var(--glue) }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums }
th, td { white-space: nowrap; text-align: right; padding: .15rem .6rem } th { font-weight: 600 }
td { border-top: 1px solid var(--line) }
th:first-child, td:first-child { text-align: left } td.wide { width: 45%; padding-right: 0 }
.row { display: flex; height: .9rem } .row span { display: block; height: 100% }
.key { display: inline-block; width: .8rem; height: .8rem; border-radius: 2px; margin: 0 .35rem 0 0 }
"""


def page(profile: ModelProfile) -> str:
    """The whole page as text (UTF-8)."""
    share = profile.structured_share
    where = f"batch {profile.batch}" + (f", sequence {profile.sequence}" if profile.sequence else "")
    threads = f"{profile.threads} thread" + ("s" if profile.threads > 1 else "")
    operators = dict(sorted(profile.by(lambda part: part.operator).items(), key=lambda row: -sum(row[1])))
    about = f"{profile.engine}; {where}; {threads}; least of {profile.repeats} runs: {profile.seconds * 1e3:.3f} ms"
    title = f"Where the time goes: {escape(profile.model)}"
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title><style>{_STYLE}</style></head><body>
<h1>{title}</h1>
<p class="faint">{escape(about)}</p>
<div class="bar"><span class="structured" style="width:{share:.4%}">{_label("products", share)}</span>
<span class="glue" style="width:{1 - share:.4%}">{_label("glue", 1 - share)}</span></div>
<p class="faint"><span class="key structured"></span>matrix products and convolutions (structured)
&nbsp; <span class="key glue"></span>everything else (glue)</p>
<h2>By layer</h2>
{_table("layer", profile.by(lambda part: part.layer), profile.seconds)}
<h2>By operator</h2>
{_table("operator", operators, profile.seconds)}
</body></html>
"""


def _label(word: str, share: float) -> str:
    """What a part of the bar says; nothing where it would not fit."""
    return f"{word} {share:.1%}" if share > 0.08 else ""  # noqa: PLR2004 - about as wide as the words


def _table(heading: str, sums: Mapping[str, tuple[float, float]], seconds: float) -> str:
    most = max((structured + glue for structured, glue in sums.values()), default=0) or 1
    rows = [
        f"<tr><td>{escape(name)}</td><td>{structured * 1e3:.3f}</td><td>{glue * 1e3:.3f}</td>"
        f"<td>{(structured + glue) / seconds if seconds else 0:.1%}</td>"
        f'<td class="wide"><div class="row"><span class="structured" style="width:{structured / most:.2%}"></span>'
        f'<span class="glue" style="width:{max(glue, 0) / most:.2%}"></span></div></td></tr>'
        for name, (structured, glue) in sums.items()
    ]
    head = f"<tr><th>{heading}</th><th>products ms</th><th>glue ms</th><th>of the run</th><th></th></tr>"
    return f"<table><thead>{head}</thead><tbody>{''.join(rows)}</tbody></table>"
