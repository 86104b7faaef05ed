#include "engine/io/standard_streams.hpp"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <system_error>

#include "kernels/core/error.hpp"

namespace sheaf::io {
namespace {

/// 0, or errno of the write that failed. Waits where a stream that does not block is full.
int write_all(int descriptor, std::string_view text) noexcept {
  while (!text.empty()) {
    const ssize_t written = ::write(descriptor, text.data(), text.size());
    if (written >= 0) {
      text.remove_prefix(static_cast<size_t>(written));
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      pollfd ready{descriptor, POLLOUT, 0};
      if (::poll(&ready, 1, -1) < 0 && errno != EINTR) return errno;
    } else if (errno != EINTR) {
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
  const std::string why = code == EPIPE   ? "the reader closed the pipe"
                          : code == EBADF ? "it is closed"
                                          : std::generic_category().message(code);
  throw DataError("cannot write to the standard output: " + why, mend_of(code));
}

}  // namespace sheaf::io
