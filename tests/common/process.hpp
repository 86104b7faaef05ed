#pragma once
/// Runs a program and keeps what it said.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "tests/common/temp_folder.hpp"

namespace sheaf::test {

struct Finished {
  int code = -1;  // 128 + signal if it was killed
  std::string out, err;
};

class Process {
 public:
  Process(const std::string& program, const std::vector<std::string>& arguments, const std::filesystem::path& folder,
          const std::string& out_file = {})
      : out_(out_file.empty() ? logs_.path() / "out" : std::filesystem::path(out_file)), err_(logs_.path() / "err") {
    std::vector<std::string> words{program};
    words.insert(words.end(), arguments.begin(), arguments.end());
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    const int out = ::open(out_.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    const int err = ::open(err_.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    pid_ = fork();
    if (pid_ != 0) {
      ::close(out);
      ::close(err);
      return;
    }
    if (::chdir(folder.c_str()) != 0 || ::dup2(out, 1) < 0 || ::dup2(err, 2) < 0) _exit(126);
    ::execv(program.c_str(), argv.data());
    _exit(127);
  }
  ~Process() {
    if (pid_ > 0) {
      ::kill(pid_, SIGKILL);
      ::waitpid(pid_, nullptr, 0);
    }
  }
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  /// Waits until stderr holds `text` or the program ends; whether it came.
  bool wait_for(const std::string& text) {
    for (int tries = 0; tries < 6000; ++tries) {
      if (read_bytes(err_).find(text) != std::string::npos) return true;
      siginfo_t info{};
      if (::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == pid_)
        return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return false;
  }
  void signal(int number) const { ::kill(pid_, number); }
  Finished finish() {
    int status = 0;
    ::waitpid(pid_, &status, 0);
    pid_ = -1;
    Finished finished;
    finished.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    if (std::filesystem::is_regular_file(out_)) finished.out = read_bytes(out_);
    finished.err = read_bytes(err_);
    return finished;
  }

 private:
  TempFolder logs_;
  std::filesystem::path out_, err_;
  pid_t pid_ = -1;
};

}  // namespace sheaf::test
