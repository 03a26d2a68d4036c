#include "worker/launcher.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/log.h"
#include "gtest/gtest.h"

namespace navit {
namespace {

// Both ends are inherited by the children.
struct Pipe {
  Pipe() {
    int ends[2];
    if (::pipe(ends) != 0) std::abort();
    read_end = ends[0];
    write_end = ends[1];
  }
  ~Pipe() {
    ::close(read_end);
    ::close(write_end);
  }
  // Waits for a line of one character.
  std::string Read() {
    char line[2];
    for (char& c : line) {
      if (::read(read_end, &c, 1) != 1) return "";
    }
    return std::string(1, line[0]);
  }
  void Write(char c) {
    const char line[2] = {c, '\n'};
    ASSERT_EQ(2, ::write(write_end, line, 2));
  }

  int read_end = -1;
  int write_end = -1;
};

// A child that runs a script of the shell.
Launcher::Child Script(const std::string& device, const std::string& script) {
  return {device, {"trainer", "-c", script}};
}

// Says "r" once it can be told to end, and "d" when it was; then ends with `status`.
std::string Drainable(const Pipe& said, int status) {
  return absl::StrCat("trap 'echo d >&", said.write_end, "; exit ", status, "' TERM; echo r >&",
                      said.write_end, "; while :; do sleep 0.05; done");
}

class LauncherTest : public ::testing::Test {
 protected:
  static std::unique_ptr<Launcher> Start(const std::vector<Launcher::Child>& children) {
    return *Launcher::Start("/bin/sh", children);
  }

  Pipe said_;
  Pipe told_;
};

TEST_F(LauncherTest, DrainReachesAll) {
  const auto launcher = Start({Script("a", Drainable(said_, 0)), Script("b", Drainable(said_, 0))});
  EXPECT_EQ("r", said_.Read());
  EXPECT_EQ("r", said_.Read());
  launcher->Drain();
  EXPECT_EQ(0, launcher->Wait());
  EXPECT_EQ("d", said_.Read());
  EXPECT_EQ("d", said_.Read());
}

TEST_F(LauncherTest, OneThatFailsEndsTheOthersWithItsStatus) {
  // The one that drains fails as well, later: the first failure is what counts.
  const auto launcher =
      Start({Script("a", Drainable(said_, 5)),
             Script("b", absl::StrCat("read go <&", told_.read_end, "; exit 3"))});
  EXPECT_EQ("r", said_.Read());
  told_.Write('g');
  EXPECT_EQ(3, launcher->Wait());
  EXPECT_EQ("d", said_.Read());
}

TEST_F(LauncherTest, AKilledOneIsNamedWithItsSignal) {
  std::string lines;
  SetLogSink([&](absl::string_view line) { absl::StrAppend(&lines, line, "\n"); });
  const auto launcher =
      Start({Script("a", Drainable(said_, 0)),
             Script("cuda:1", absl::StrCat("echo $$ >&", told_.write_end, "; kill -9 $$"))});
  std::string pid;
  for (char c; ::read(told_.read_end, &c, 1) == 1 && c != '\n';) pid += c;
  EXPECT_EQ(128 + SIGKILL, launcher->Wait());
  SetLogSink(nullptr);
  EXPECT_TRUE(absl::StrContains(
      lines, absl::StrCat("the trainer on cuda:1, process ", pid, ", was killed by signal 9")))
      << lines;
}

TEST_F(LauncherTest, AfterOneThatEndedWellTheOthersGoOn) {
  // Told when the launcher has said that the other one ended, which it does after it has signalled.
  SetLogSink([&](absl::string_view line) {
    if (absl::StrContains(line, "has ended as told")) told_.Write('g');
  });
  const auto launcher = Start(
      {Script("a", "exit 0"),
       Script("b", absl::StrCat("trap 'exit 7' TERM; read go <&", told_.read_end, "; exit 0"))});
  EXPECT_EQ(0, launcher->Wait());
  SetLogSink(nullptr);
}

TEST_F(LauncherTest, AProgramThatIsNotThereFails) {
  const auto launcher = Launcher::Start("/no/such/program", {{"a", {"trainer"}}});
  ASSERT_TRUE(launcher.ok());
  EXPECT_EQ(127, (*launcher)->Wait());
}

TEST_F(LauncherTest, NoChildOutlivesALauncherThatIsKilled) {
  // Orphans become this process's.
  ASSERT_EQ(0, ::prctl(PR_SET_CHILD_SUBREAPER, 1));
  const pid_t parent = ::fork();
  if (parent == 0) {
    const auto launcher = Start({Script(
        "a", absl::StrCat("echo r >&", said_.write_end, "; read never <&", told_.read_end))});
    launcher->Wait();
    ::_exit(0);
  }
  EXPECT_EQ("r", said_.Read());
  ::kill(parent, SIGKILL);
  int status = 0;
  ASSERT_EQ(parent, ::waitpid(parent, &status, 0));
  ASSERT_GT(::waitpid(-1, &status, 0), 0);
  EXPECT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(SIGKILL, WTERMSIG(status));
}

}  // namespace
}  // namespace navit
