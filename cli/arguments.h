// The command line of one navitctl command: positional words and flags.
#ifndef NAVIT_CLI_ARGUMENTS_H_
#define NAVIT_CLI_ARGUMENTS_H_

#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace navit {

class Arguments {
 public:
  // `words` without program and command. `flags` are the names that the command knows, those that
  // take no value ending in "!" ("follow!"). --name value, --name=value, -o value, -ovalue; "--"
  // ends flags; "-" is a word. InvalidArgument names the flag.
  static absl::StatusOr<Arguments> Parse(const std::vector<std::string>& words,
                                         const std::vector<std::string>& flags);

  const std::vector<std::string>& words() const { return words_; }
  bool Has(absl::string_view flag) const;
  // The last value given; `otherwise` when the flag was not.
  std::string Get(absl::string_view flag, absl::string_view otherwise) const;
  std::vector<std::string> All(absl::string_view flag) const;
  // InvalidArgument: the flag's value is no number of at least 0.
  absl::StatusOr<double> Number(absl::string_view flag, double otherwise) const;

 private:
  std::vector<std::string> words_;
  std::map<std::string, std::vector<std::string>> flags_;
};

}  // namespace navit

#endif  // NAVIT_CLI_ARGUMENTS_H_
