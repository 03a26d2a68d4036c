"""Puts styles and scripts into page.html, each where it names the file in a comment, and the result
into a C++ source.

    embed.py page.html FILE... > page_html.cc
"""
import pathlib
import sys

page, *parts = (pathlib.Path(name) for name in sys.argv[1:])
html = page.read_text(encoding="utf-8")
for part in parts:
    place = "/* {} */".format(part.name)
    if html.count(place) != 1:
        sys.exit("page.html: must hold `{}` once".format(place))
    html = html.replace(place, part.read_text(encoding="utf-8"))
DELIMITER = "NAVIT_PAGE"
if ")" + DELIMITER in html:
    sys.exit("the page holds the delimiter of its literal")
# A literal of a compiler's guaranteed length holds 65536 characters: pieces are joined by it.
pieces = [html[i : i + 12000] for i in range(0, len(html), 12000)]
literal = "\n".join('R"{0}({1}){0}"'.format(DELIMITER, piece) for piece in pieces)
sys.stdout.buffer.write(
    """#include "server/page/page_html.h"

namespace navit {{

absl::string_view PageHtml() {{
  static constexpr char kPage[] = {};
  return absl::string_view(kPage, sizeof(kPage) - 1);
}}

}}  // namespace navit
""".format(literal).encode()
)
