#include "engine/io/standard_streams.hpp"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdio>
#include <new>
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

/// Bytes of the character at the beginning of `text`, well-formed or not.
size_t length_of_character(std::string_view text) {
  const auto lead = static_cast<unsigned char>(text.front());
  const size_t length = lead >= 0xf0 && lead <= 0xf4  ? 4
                        : lead >= 0xe0 && lead < 0xf0 ? 3
                        : lead >= 0xc2 && lead < 0xe0 ? 2
                                                      : 1;
  if (length > text.size()) return 1;
  for (size_t b = 1; b < length; ++b) {
    if ((static_cast<unsigned char>(text[b]) & 0xc0) != 0x80) return 1;
  }
  return length;
}

/// The code point; that of a byte which begins no character is the byte.
unsigned code_of(std::string_view character) {
  const auto byte = [&](size_t b) { return static_cast<unsigned>(static_cast<unsigned char>(character[b])); };
  unsigned code = byte(0);
  if (character.size() > 1) code &= 0x7fu >> character.size();
  for (size_t b = 1; b < character.size(); ++b) code = code << 6 | (byte(b) & 0x3f);
  return code;
}

bool steers_terminal(unsigned code) {
  const bool control = code < 0x20 ? code != '\n' && code != '\t' : code >= 0x7f && code < 0xa0;
  return control || (code >= 0x202a && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069);
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

std::string printable(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const std::string_view character = text.substr(0, length_of_character(text));
    if (const unsigned code = code_of(character); steers_terminal(code)) {
      char escape[8];
      std::snprintf(escape, sizeof escape, "\\u%04x", code);
      out += escape;
    } else {
      out += character;
    }
    text.remove_prefix(character.size());
  }
  return out;
}

void say(std::string_view text) noexcept {
  try {
    write_all(STDERR_FILENO, printable(text));
  } catch (const std::bad_alloc&) {
    write_all(STDERR_FILENO, text);
  }
}

void write_result(std::string_view text) {
  const int code = write_all(STDOUT_FILENO, printable(text));
  if (code == 0) return;
  if (code == EINTR) throw Interrupted("the writing of the result, which nobody reads");
  const std::string why = code == EPIPE   ? "the reader closed the pipe"
                          : code == EBADF ? "it is closed"
                                          : std::generic_category().message(code);
  throw DataError("cannot write to the standard output: " + why, mend_of(code));
}

}  // namespace sheaf::io
