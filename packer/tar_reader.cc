#include "packer/tar_reader.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <limits>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"

namespace navit {
namespace {

constexpr size_t kBlock = 512;
constexpr uint64_t kLongestExtension = 1 << 20;

// A text field of a header: up to the first NUL.
absl::string_view Text(absl::string_view field) { return field.substr(0, field.find('\0')); }

// A number field: octal digits, spaces and NULs around them; or base 256 when the top bit is set.
bool Number(absl::string_view field, uint64_t* value) {
  *value = 0;
  if (static_cast<uint8_t>(field[0]) & 0x80) {
    if (static_cast<uint8_t>(field[0]) != 0x80) return false;  // negative or beyond 64 bits
    for (size_t i = 1; i < field.size(); ++i) {
      if (*value >> 55) return false;
      *value = *value << 8 | static_cast<uint8_t>(field[i]);
    }
    return true;
  }
  size_t i = 0;
  while (i < field.size() && field[i] == ' ') ++i;
  for (; i < field.size() && field[i] >= '0' && field[i] <= '7'; ++i) {
    *value = *value << 3 | static_cast<uint64_t>(field[i] - '0');
  }
  for (; i < field.size(); ++i) {
    if (field[i] != ' ' && field[i] != '\0') return false;
  }
  return true;
}

// POSIX sums bytes unsigned; some old writers summed them signed.
bool ChecksumFits(absl::string_view block, uint64_t stated) {
  int64_t without_sign = 0;
  int64_t with_sign = 0;
  for (size_t i = 0; i < kBlock; ++i) {
    const char c = i >= 148 && i < 156 ? ' ' : block[i];
    without_sign += static_cast<uint8_t>(c);
    with_sign += static_cast<signed char>(c);
  }
  return static_cast<int64_t>(stated) == without_sign || static_cast<int64_t>(stated) == with_sign;
}

struct PaxRecords {
  std::string path;
  bool has_size = false;
  uint64_t size = 0;
};

// Records "LENGTH KEY=VALUE\n". False: malformed, or a sparse member.
bool ParsePax(absl::string_view text, PaxRecords* records, std::string* problem) {
  while (!text.empty()) {
    const size_t space = text.find(' ');
    uint64_t length = 0;
    if (space == absl::string_view::npos || !absl::SimpleAtoi(text.substr(0, space), &length) ||
        length > text.size() || length < space + 3 || text[length - 1] != '\n') {
      *problem = "malformed pax record";
      return false;
    }
    const absl::string_view record = text.substr(space + 1, length - space - 2);
    text.remove_prefix(length);
    const size_t equals = record.find('=');
    if (equals == absl::string_view::npos) {
      *problem = "malformed pax record";
      return false;
    }
    const absl::string_view key = record.substr(0, equals);
    const absl::string_view value = record.substr(equals + 1);
    if (key == "path") {
      records->path = std::string(value);
    } else if (key == "size") {
      if (!absl::SimpleAtoi(value, &records->size)) {
        *problem = "malformed pax size";
        return false;
      }
      records->has_size = true;
    } else if (key.substr(0, 10) == "GNU.sparse") {
      *problem = "sparse members are not supported";
      return false;
    }
  }
  return true;
}

}  // namespace

struct TarReader::Hash {
  XXH3_state_t state;
};

absl::StatusOr<std::unique_ptr<TarReader>> TarReader::Open(ObjectStore* store,
                                                           const std::string& name) {
  NAVIT_ASSIGN_OR_RETURN(std::unique_ptr<ObjectReader> file, ObjectReader::Open(store, name));
  return std::unique_ptr<TarReader>(new TarReader(name, std::move(file)));
}

TarReader::TarReader(std::string name, std::unique_ptr<ObjectReader> file)
    : name_(std::move(name)), file_(std::move(file)), hash_(std::make_unique<Hash>()) {
  XXH3_64bits_reset(&hash_->state);
}

TarReader::~TarReader() = default;

uint64_t TarReader::hash() const { return XXH3_64bits_digest(&hash_->state); }

absl::Status TarReader::Invalid(uint64_t offset, absl::string_view what) const {
  return absl::InvalidArgumentError(absl::StrCat(name_, ": at byte ", offset, ": ", what));
}

absl::Status TarReader::Refill() {
  NAVIT_ASSIGN_OR_RETURN(buffer_, file_->Next());
  XXH3_64bits_update(&hash_->state, buffer_.data(), buffer_.size());
  return absl::OkStatus();
}

absl::Status TarReader::Take(uint64_t size, const std::function<void(absl::string_view)>& piece) {
  while (size > 0) {
    if (buffer_.empty()) {
      NAVIT_RETURN_IF_ERROR(Refill());
      if (buffer_.empty()) return Invalid(offset_, "the file is truncated");
    }
    const absl::string_view now = buffer_.substr(0, size);
    if (piece) piece(now);
    buffer_.remove_prefix(now.size());
    offset_ += now.size();
    size -= now.size();
  }
  return absl::OkStatus();
}

absl::Status TarReader::SkipRest() {
  const uint64_t rest = data_left_ + padding_;
  data_left_ = padding_ = 0;
  return Take(rest, nullptr);
}

absl::Status TarReader::ReadData(const std::function<void(absl::string_view)>& piece) {
  const uint64_t data = std::exchange(data_left_, 0);
  return Take(data, piece);
}

// A header block with a good checksum; false: the end of the archive.
absl::StatusOr<bool> TarReader::ReadHeader(std::string* block) {
  const uint64_t at = offset_;
  block->clear();
  absl::Status taken =
      Take(kBlock, [&](absl::string_view piece) { block->append(piece.data(), piece.size()); });
  if (!taken.ok()) {
    if (!absl::IsInvalidArgument(taken)) return taken;
    return Invalid(at, at == 0 && block->empty()
                           ? "the file is empty"
                           : "the file is truncated: it ends without an end-of-archive block");
  }
  if (block->find_first_not_of('\0') == std::string::npos) return false;
  uint64_t stated = 0;
  if (!Number(absl::string_view(*block).substr(148, 8), &stated) || !ChecksumFits(*block, stated)) {
    return Invalid(at, at == 0 ? "not a tar archive (bad header checksum)" : "bad header checksum");
  }
  return true;
}

absl::StatusOr<std::string> TarReader::ReadExtension(uint64_t size) {
  if (size > kLongestExtension) return Invalid(offset_, "extended header beyond 1 MiB");
  std::string text;
  NAVIT_RETURN_IF_ERROR(
      Take(size, [&](absl::string_view piece) { text.append(piece.data(), piece.size()); }));
  NAVIT_RETURN_IF_ERROR(Take((kBlock - size % kBlock) % kBlock, nullptr));
  return text;
}

// Reads and hashes the rest of the file, which may only be padding.
absl::Status TarReader::FinishArchive() {
  end_ = true;
  while (true) {
    if (buffer_.empty()) {
      NAVIT_RETURN_IF_ERROR(Refill());
      if (buffer_.empty()) return absl::OkStatus();
    }
    const size_t other = buffer_.find_first_not_of('\0');
    if (other != absl::string_view::npos) {
      return Invalid(offset_ + other, "data behind the end of the archive");
    }
    offset_ += buffer_.size();
    buffer_ = absl::string_view();
  }
}

absl::StatusOr<bool> TarReader::Next(TarMember* member) {
  if (end_) return false;
  NAVIT_RETURN_IF_ERROR(SkipRest());
  std::string block;
  std::string long_name;
  PaxRecords pax;
  while (true) {
    const uint64_t at = offset_;
    NAVIT_ASSIGN_OR_RETURN(const bool more, ReadHeader(&block));
    if (!more) {
      if (!long_name.empty() || !pax.path.empty()) {
        return Invalid(at, "the file is truncated: an extended header without its member");
      }
      NAVIT_RETURN_IF_ERROR(FinishArchive());
      return false;
    }
    const absl::string_view header(block);
    uint64_t size = 0;
    if (!Number(header.substr(124, 12), &size)) return Invalid(at, "malformed size");
    const char type = header[156];
    if (type == 'L' || type == 'K' || type == 'x' || type == 'g') {
      NAVIT_ASSIGN_OR_RETURN(const std::string text, ReadExtension(size));
      if (type == 'L') long_name = std::string(Text(text));
      std::string problem;
      if (type == 'x' && !ParsePax(text, &pax, &problem)) return Invalid(at, problem);
      continue;
    }
    if (type == 'S') return Invalid(at, "sparse members are not supported");
    if (type == 'M') return Invalid(at, "multi-volume members are not supported");
    if (pax.has_size) size = pax.size;
    if (size > std::numeric_limits<int64_t>::max()) return Invalid(at, "malformed size");
    const bool regular = type == '0' || type == '\0' || type == '7';
    // Links carry no data, whatever their size says.
    const bool link = type == '1' || type == '2';
    if (link) size = 0;
    data_left_ = size;
    padding_ = (kBlock - size % kBlock) % kBlock;
    std::string path = pax.path.empty() ? long_name : pax.path;
    if (path.empty()) {
      path = std::string(Text(header.substr(0, 100)));
      const absl::string_view prefix = Text(header.substr(345, 155));
      const bool ustar = header.substr(257, 6) == absl::string_view("ustar\0", 6);
      if (ustar && !prefix.empty()) path = absl::StrCat(prefix, "/", path);
    }
    // v7 archives mark folders by a slash alone.
    if (!(regular || link) || path.empty() || path.back() == '/') {
      NAVIT_RETURN_IF_ERROR(SkipRest());
      long_name.clear();
      pax = PaxRecords();
      continue;
    }
    *member = TarMember{std::move(path), at, offset_, size, link};
    return true;
  }
}

}  // namespace navit
