#include "packer/shards.h"

#include <string>
#include <vector>

#include "absl/strings/str_join.h"
#include "common/files.h"
#include "gtest/gtest.h"
#include "packer/testing/job.h"

namespace navit {
namespace {

using Names = std::vector<std::string>;

class ExpandTest : public ::testing::Test {
 protected:
  ExpandTest() : folder_(testing::NewFolder("shards")) {
    for (const char* name : {"00000.tar", "00001.tar", "00002.tar", "x.txt", "a[1].tar"}) {
      testing::WriteBytes(folder_ + "/" + name, "");
    }
    EXPECT_TRUE(EnsureFolder(folder_ + "/sub.tar").ok());
  }
  Names In(const Names& names) const {
    Names paths;
    for (const std::string& name : names) paths.push_back(folder_ + "/" + name);
    return paths;
  }
  const std::string folder_;
};

TEST_F(ExpandTest, Path) {
  EXPECT_EQ(*ExpandShardPattern(testing::LocalStore().get(), folder_ + "/00001.tar"),
            In({"00001.tar"}));
}

TEST_F(ExpandTest, FolderMeansItsTarFiles) {
  const Names all = In({"00000.tar", "00001.tar", "00002.tar", "a[1].tar"});
  EXPECT_EQ(*ExpandShardPattern(testing::LocalStore().get(), folder_), all);
  EXPECT_EQ(ExpandShardPattern(testing::LocalStore().get(), folder_ + "/")->size(), 4u);
}

TEST_F(ExpandTest, Glob) {
  EXPECT_EQ(*ExpandShardPattern(testing::LocalStore().get(), folder_ + "/0000[12].tar"),
            In({"00001.tar", "00002.tar"}));
  EXPECT_EQ(ExpandShardPattern(testing::LocalStore().get(), folder_ + "/0*.tar")->size(), 3u);
}

TEST_F(ExpandTest, ANameThatLooksLikeAGlob) {
  EXPECT_EQ(*ExpandShardPattern(testing::LocalStore().get(), folder_ + "/a[1].tar"),
            In({"a[1].tar"}));
}

TEST_F(ExpandTest, Braces) {
  EXPECT_EQ(*ExpandShardPattern(testing::LocalStore().get(), folder_ + "/{00000..00002}.tar"),
            In({"00000.tar", "00001.tar", "00002.tar"}));
  EXPECT_EQ(*ExpandShardPattern(testing::LocalStore().get(), folder_ + "/0000{2,0}.tar"),
            In({"00000.tar", "00002.tar"}));
  EXPECT_EQ(*ExpandShardPattern(testing::LocalStore().get(), folder_ + "/0000{0..1}.{tar,tar}"),
            In({"00000.tar", "00001.tar"}));
}

TEST_F(ExpandTest, AListKeepsItsOrderAndNamesEachShardOnce) {
  const auto expand = [&](const Names& patterns) {
    return ExpandShardPattern(testing::LocalStore().get(), absl::StrJoin(In(patterns), "::"));
  };
  EXPECT_EQ(*expand({"00002.tar", "a[1].tar", "0000{1,0}.tar"}),
            In({"00002.tar", "a[1].tar", "00000.tar", "00001.tar"}));
  EXPECT_EQ(*expand({"00001.tar", "0*.tar", "00001.tar"}),
            In({"00001.tar", "00000.tar", "00002.tar"}));
  EXPECT_TRUE(absl::IsInvalidArgument(expand({"00001.tar", "00002.tar::"}).status()));
}

TEST_F(ExpandTest, BracesOfAName) {
  testing::WriteBytes(folder_ + "/x{1,2}.tar", "");
  testing::WriteBytes(folder_ + "/y{.tar", "");
  // A file of exactly this name wins over what its characters could mean; escaped they mean
  // nothing.
  EXPECT_EQ(*ExpandShardPattern(testing::LocalStore().get(), folder_ + "/x{1,2}.tar"),
            In({"x{1,2}.tar"}));
  EXPECT_EQ(*ExpandShardPattern(testing::LocalStore().get(), folder_ + "/{x\\{1\\,2\\},y\\{}.tar"),
            In({"x{1,2}.tar", "y{.tar"}));
}

TEST_F(ExpandTest, ErrorsNameThePattern) {
  for (const char* missing : {"/{00000..00003}.tar", "/7*.tar", "/no.tar", "/no/"}) {
    const auto result = ExpandShardPattern(testing::LocalStore().get(), folder_ + missing);
    EXPECT_TRUE(absl::IsNotFound(result.status())) << result.status();
    EXPECT_NE(result.status().message().find(missing), absl::string_view::npos);
  }
  // The file that braces spell out is named too.
  EXPECT_NE(ExpandShardPattern(testing::LocalStore().get(), folder_ + "/{00000..00003}.tar")
                .status()
                .message()
                .find("00003.tar"),
            absl::string_view::npos);
  for (const char* bad :
       {"", "/x{1..2", "/x}1", "/x{1..b}", "/x{0..9999999}", "/x{0..999}{0..999}{0..999}"}) {
    EXPECT_TRUE(
        absl::IsInvalidArgument(ExpandShardPattern(testing::LocalStore().get(), bad).status()))
        << bad;
  }
  EXPECT_TRUE(absl::IsNotFound(
      ExpandShardPattern(testing::LocalStore().get(), folder_ + "/sub.tar").status()));
}

}  // namespace
}  // namespace navit
