"""Puts page.css and page.js into page.html and the result into a C++ source.

    embed.py page.html page.css page.js > page_html.cc
"""
import pathlib
import sys

html, css, js = (pathlib.Path(name).read_text(encoding="utf-8") for name in sys.argv[1:4])
for place, text in (("/* page.css */", css), ("/* page.js */", js)):
    if html.count(place) != 1:
        sys.exit("page.html: must hold `{}` once".format(place))
    html = html.replace(place, text)
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
