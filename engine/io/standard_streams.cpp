#include "engine/io/standard_streams.hpp"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <string>
#include <system_error>

#include "kernels/core/error.hpp"
#include "kernels/core/interrupt.hpp"

namespace sheaf::io {
namespace {

/// 0, or errno of the write that failed; EINTR after an interrupt, if nobody reads what is written. A stream that is
/// ready takes PIPE_BUF bytes at once, so that a write never waits for a reader where no signal would end it.
int write_all(int descriptor, std::string_view text) noexcept {
  constexpr int kLook = 250;  // milliseconds
  while (!text.empty()) {
    pollfd ready{descriptor, POLLOUT, 0};
    const int n = ::poll(&ready, 1, kLook);
    if (n < 0 && errno != EINTR) return errno;
    if (n <= 0) {
      if (interrupt_requested()) return EINTR;
      continue;
    }
    const ssize_t written = ::write(descriptor, text.data(), std::min(text.size(), size_t{PIPE_BUF}));
    if (written >= 0) {
      text.remove_prefix(static_cast<size_t>(written));
    } else if (errno != EINTR && errno != EAGAIN && errno != EWOULDBLOCK) {
      return errno;
    }
  }
  return 0;
}

const char* mend_of(int code) {
  switch (code) {
    case EPIPE: return "let it read to the end, as `less` does, or write the result into a file: > FILE";
    case EBADF: return "leave out >&-, or write the result into a file: > FILE";
    case ENOSPC:
    case EDQUOT:
    case EFBIG: return "free some space, or redirect it elsewhere";
    default: return "redirect it elsewhere";
  }
}

}  // namespace

void hold_standard_streams() noexcept {
  for (const int descriptor : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (::fcntl(descriptor, F_GETFD) != -1 || errno != EBADF) continue;
    // The lowest free number is this one.
    const int opened = ::open("/dev/null", descriptor == STDERR_FILENO ? O_WRONLY : O_RDONLY);
    if (opened >= 0 && opened != descriptor) ::close(opened);
  }
}

void say(std::string_view text) noexcept { write_all(STDERR_FILENO, text); }

void write_result(std::string_view text) {
  const int code = write_all(STDOUT_FILENO, text);
  if (code == 0) return;
  if (code == EINTR) throw Interrupted("the writing of the result, which nobody reads");
  const std::string why = code == EPIPE   ? "the reader closed the pipe"
                          : code == EBADF ? "it is closed"
                                          : std::generic_category().message(code);
  throw DataError("cannot write to the standard output: " + why, mend_of(code));
}

}  // namespace sheaf::io
