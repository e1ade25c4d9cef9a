"""Tables of a report, as Markdown, and as LaTeX for a paper (package booktabs)."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

_ESCAPED = {"_": r"\_", "%": r"\%", "&": r"\&", "#": r"\#", "±": r"$\pm$"}
_SPECIAL = re.compile("[_%&#±]")


@dataclass(frozen=True)
class Table:
    """Cells as Markdown has them: `code`, **bold** and *italic*."""

    caption: str
    titles: Sequence[str]
    rows: Sequence[Sequence[str]]

    def markdown(self) -> str:
        """Write the table without its caption."""
        lines = [self.titles, ["---"] * len(self.titles), *self.rows]
        return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)

    def latex(self) -> str:
        """Write the table with its caption."""
        lines = [" & ".join(map(_latex, cells)) + r" \\" for cells in (self.titles, *self.rows)]
        return "\n".join(
            [
                r"\begin{table}",
                r"\centering",
                rf"\caption{{{_latex(self.caption)}}}",
                rf"\begin{{tabular}}{{l{'r' * (len(self.titles) - 1)}}}",
                r"\toprule",
                lines[0],
                r"\midrule",
                *lines[1:],
                r"\bottomrule",
                r"\end{tabular}",
                r"\end{table}",
            ]
        )


def _latex(text: str) -> str:
    text = _SPECIAL.sub(lambda match: _ESCAPED[match[0]], text)
    for mark, command in ((r"\*\*", "textbf"), (r"\*", "emph"), ("`", "texttt")):
        text = re.sub(rf"{mark}(.+?){mark}", rf"\\{command}{{\1}}", text)
    return text
