#include "embed/row_writer.h"

#include <cstdio>
#include <fstream>
#include <limits>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/job_spec/print.h"

namespace navit {
namespace {

class JsonLinesWriter : public RowWriter {
 public:
  explicit JsonLinesWriter(std::ostream* out) : out_(*out) {}

  absl::Status Add(absl::string_view input, absl::Span<const float> row) override {
    std::string line = absl::StrCat("{\"input\": ", JsonString(input), ", \"embedding\": [");
    for (size_t i = 0; i < row.size(); ++i) {
      absl::StrAppendFormat(&line, "%s%.9g", i == 0 ? "" : ", ", row[i]);
    }
    return Write(line + "]}\n");
  }

  absl::Status AddFailure(absl::string_view input, absl::string_view why) override {
    return Write(
        absl::StrCat("{\"input\": ", JsonString(input), ", \"error\": ", JsonString(why), "}\n"));
  }

  absl::Status Finish() override { return Write(""); }

 private:
  absl::Status Write(const std::string& text) {
    out_ << text << std::flush;
    return out_ ? absl::OkStatus() : absl::InternalError("output: cannot be written");
  }

  std::ostream& out_;
};

class NpyWriter : public RowWriter {
 public:
  NpyWriter(std::string path, int64_t dim) : path_(std::move(path)), dim_(dim) {
    file_.open(path_ + kPartial, std::ios::binary | std::ios::trunc);
    file_ << Header();
  }
  ~NpyWriter() override {
    if (!finished_) std::remove((path_ + kPartial).c_str());
  }

  absl::Status Add(absl::string_view, absl::Span<const float> row) override {
    file_.write(reinterpret_cast<const char*>(row.data()),
                static_cast<std::streamsize>(row.size() * sizeof(float)));
    ++rows_;
    return Checked();
  }

  absl::Status AddFailure(absl::string_view input, absl::string_view) override {
    return Add(input, std::vector<float>(dim_, std::numeric_limits<float>::quiet_NaN()));
  }

  absl::Status Finish() override {
    file_.seekp(0);
    file_ << Header();
    file_.close();
    finished_ = file_ && std::rename((path_ + kPartial).c_str(), path_.c_str()) == 0;
    return finished_ ? absl::OkStatus() : Checked();
  }

  absl::Status Checked() const {
    if (file_ && !file_.fail()) return absl::OkStatus();
    return absl::InternalError(absl::StrCat(path_, ": cannot be written"));
  }

 private:
  static constexpr char kPartial[] = ".partial";
  // Magic, version, length of the text, the text with room for any number of rows.
  static constexpr size_t kHeaderBytes = 128;

  std::string Header() const {
    std::string text = absl::StrFormat(
        "{'descr': '<f4', 'fortran_order': False, 'shape': (%d, %d), }", rows_, dim_);
    text.resize(kHeaderBytes - 10 - 1, ' ');
    const auto length = static_cast<uint16_t>(text.size() + 1);
    return absl::StrCat(
        "\x93NUMPY\x01", std::string(1, '\0'),
        std::string{static_cast<char>(length & 255), static_cast<char>(length >> 8)}, text, "\n");
  }

  const std::string path_;
  const int64_t dim_;
  std::ofstream file_;
  int64_t rows_ = 0;
  bool finished_ = false;
};

}  // namespace

std::unique_ptr<RowWriter> MakeJsonLinesWriter(std::ostream* out) {
  return std::make_unique<JsonLinesWriter>(out);
}

absl::StatusOr<std::unique_ptr<RowWriter>> MakeNpyWriter(const std::string& path, int64_t dim) {
  auto writer = std::make_unique<NpyWriter>(path, dim);
  const absl::Status opened = writer->Checked();
  if (!opened.ok()) return opened;
  return std::unique_ptr<RowWriter>(std::move(writer));
}

}  // namespace navit
