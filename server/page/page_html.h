// page.html with its style and scripts in it, as the build put them together (embed.py).
#ifndef NAVIT_SERVER_PAGE_PAGE_HTML_H_
#define NAVIT_SERVER_PAGE_PAGE_HTML_H_

#include "absl/strings/string_view.h"

namespace navit {

absl::string_view PageHtml();

}  // namespace navit

#endif  // NAVIT_SERVER_PAGE_PAGE_HTML_H_
