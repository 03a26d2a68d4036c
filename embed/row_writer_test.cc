#include "embed/row_writer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <sstream>

#include "common/files.h"

namespace navit {
namespace {

TEST(JsonLines, QuoteInputsAndKeepAllDigits) {
  std::ostringstream out;
  const auto writer = MakeJsonLinesWriter(&out);
  ASSERT_TRUE(writer->Add("a \"b\".jpg", {0.1f, -2}).ok());
  ASSERT_TRUE(writer->AddFailure("c.jpg", "is no image").ok());
  ASSERT_TRUE(writer->Finish().ok());
  EXPECT_EQ(out.str(), R"({"input": "a \"b\".jpg", "embedding": [0.100000001, -2]}
{"input": "c.jpg", "error": "is no image"}
)");
}

TEST(Npy, IsAnArrayOfRowsOnceItIsWhole) {
  const std::string path = testing::TempDir() + "/rows.npy";
  auto writer = MakeNpyWriter(path, 2);
  ASSERT_TRUE(writer.ok()) << writer.status();
  ASSERT_TRUE((*writer)->Add("a", {1, 2}).ok());
  ASSERT_TRUE((*writer)->AddFailure("b", "why").ok());
  EXPECT_FALSE(FileExists(path));
  ASSERT_TRUE((*writer)->Finish().ok());
  const auto bytes = ReadFile(path);
  ASSERT_TRUE(bytes.ok()) << bytes.status();
  ASSERT_EQ(bytes->size(), 128 + 2 * 2 * sizeof(float));
  EXPECT_EQ(bytes->substr(0, 8), std::string("\x93NUMPY\x01\x00", 8));
  // The text's length, little-endian.
  EXPECT_EQ(bytes->substr(8, 2), std::string("\x76\x00", 2));
  EXPECT_EQ(bytes->substr(10, 62),
            "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2), }   ");
  EXPECT_EQ((*bytes)[127], '\n');
  float values[4];
  std::memcpy(values, bytes->data() + 128, sizeof(values));
  EXPECT_EQ(values[1], 2);
  EXPECT_TRUE(std::isnan(values[2]));
}

TEST(Npy, NamesAFileThatCannotBeWritten) {
  EXPECT_NE(MakeNpyWriter("/nowhere/rows.npy", 2).status().message().find("/nowhere/rows.npy"),
            absl::string_view::npos);
}

TEST(Npy, LeavesNothingWithoutFinish) {
  const std::string path = testing::TempDir() + "/cut.npy";
  ASSERT_TRUE(MakeNpyWriter(path, 2).ok());
  EXPECT_FALSE(FileExists(path + ".partial"));
}

}  // namespace
}  // namespace navit
