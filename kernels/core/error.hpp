#pragma once
/// Every failure that a user can cause or fix is one of these. The program turns it into one line on stderr and the
/// exit code. `assert` is only for our own bugs.

#include <stdexcept>
#include <string>
#include <utility>

namespace sheaf {

/// Documented exit codes of the program.
enum class ExitCode : int { done = 0, internal = 1, usage = 2, data = 3, device = 4, interrupted = 5 };

/// `what()` says what is wrong and where (file, line, value); `hint()` says what to do about it.
class Error : public std::runtime_error {
 public:
  Error(ExitCode code, const std::string& what, std::string mend)
      : std::runtime_error(what), code_(code), mend_(std::move(mend)) {}
  ExitCode code() const noexcept { return code_; }
  const std::string& hint() const noexcept { return mend_; }

 private:
  ExitCode code_;
  std::string mend_;
};

/// Wrong option, configuration key or argument of a public function.
struct UsageError : Error {
  explicit UsageError(const std::string& what, std::string mend = {}) : Error(ExitCode::usage, what, std::move(mend)) {}
};

/// Missing, malformed or inconsistent input, or output that cannot be written.
struct DataError : Error {
  explicit DataError(const std::string& what, std::string mend = {}) : Error(ExitCode::data, what, std::move(mend)) {}
};

/// No such device, a failed device call, or too little memory.
struct DeviceError : Error {
  explicit DeviceError(const std::string& what, std::string mend = {})
      : Error(ExitCode::device, what, std::move(mend)) {}
};

/// Ctrl-C. Finished results are kept; no half-written file stays.
struct Interrupted : Error {
  explicit Interrupted(const std::string& during)
      : Error(ExitCode::interrupted, "interrupted during " + during, "run the same command again") {}
};

}  // namespace sheaf
