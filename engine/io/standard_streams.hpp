#pragma once
/// The standard streams of a program. What it says on stderr is never worth its result: a write there that fails is
/// forgotten. A result on stdout that cannot be written is an error.

#include <string_view>

namespace sheaf::io {

/// Call first: opens /dev/null in place of a stream that the caller has closed. Else the next file that is opened would
/// get its number, and messages would land in it. A closed stdout still refuses every write.
void hold_standard_streams() noexcept;

/// Writes to stderr as much as it takes.
void say(std::string_view text) noexcept;

/// Writes to stdout; DataError that says why it fails: a closed pipe, a full disk, a closed stream. Interrupted if an
/// interrupt comes while nobody reads.
void write_result(std::string_view text);

}  // namespace sheaf::io
