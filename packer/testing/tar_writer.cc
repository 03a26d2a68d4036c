#include "packer/testing/tar_writer.h"

#include <cstdint>
#include <cstdio>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace navit::testing {

TarWriter& TarWriter::Add(absl::string_view name, absl::string_view data) {
  return AddType('0', name, data);
}

TarWriter& TarWriter::AddType(char type, absl::string_view name, absl::string_view data) {
  if (name.size() > 100 || format_ == kPax) {
    if (format_ == kGnu) {
      Header("././@LongLink", 'L', name.size() + 1, false);
      Data(absl::StrCat(name, absl::string_view("\0", 1)));
    } else {
      // The length of a pax record counts its own digits.
      size_t length = name.size() + 7;
      while (absl::StrCat(length, " path=", name, "\n").size() != length) ++length;
      const std::string record = absl::StrCat(length, " path=", name, "\n");
      Header("PaxHeaders/x", 'x', record.size(), false);
      Data(record);
    }
  }
  Header(name.substr(0, 100), type, data.size(), false);
  Data(data);
  return *this;
}

TarWriter& TarWriter::AddBase256(absl::string_view name, absl::string_view data) {
  Header(name, '0', data.size(), true);
  Data(data);
  return *this;
}

void TarWriter::Header(absl::string_view name, char type, size_t size, bool base256) {
  char block[512] = {};
  std::memcpy(block, name.data(), name.size());
  std::snprintf(block + 100, 8, "%07o", 0644);
  std::snprintf(block + 108, 8, "%07o", 0);
  std::snprintf(block + 116, 8, "%07o", 0);
  if (base256) {
    block[124] = static_cast<char>(0x80);
    for (int i = 0; i < 8; ++i) block[135 - i] = static_cast<char>(uint64_t{size} >> (8 * i));
  } else {
    std::snprintf(block + 124, 12, "%011o", static_cast<unsigned>(size));
  }
  std::snprintf(block + 136, 12, "%011o", 0);
  block[156] = type;
  std::memcpy(block + 257, format_ == kGnu ? "ustar  " : "ustar\00000", 8);
  std::memset(block + 148, ' ', 8);
  unsigned sum = 0;
  for (const char c : block) sum += static_cast<uint8_t>(c);
  std::snprintf(block + 148, 8, "%06o", sum);
  bytes_.append(block, sizeof(block));
}

void TarWriter::Data(absl::string_view data) {
  bytes_.append(data.data(), data.size());
  bytes_.append((512 - data.size() % 512) % 512, '\0');
}

}  // namespace navit::testing
