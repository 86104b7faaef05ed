#pragma once
/// The standard streams of a program. What it says on stderr is never worth its result: a write there that fails is
/// forgotten. A result on stdout that cannot be written is an error.

#include <string>
#include <string_view>

namespace sheaf::io {

/// Call first: opens /dev/null in place of a stream that the caller has closed. Else the next file that is opened would
/// get its number, and messages would land in it. A closed stdout still refuses every write.
void hold_standard_streams() noexcept;

/// The text with what could steer a terminal made visible as \u001b and the like: control characters but for line
/// breaks and tabs, and marks that turn the direction of writing. Names of products come from other people's files.
/// Inside of a JSON string the result means the same.
std::string printable(std::string_view text);

/// Writes to stderr, printable, as much as it takes.
void say(std::string_view text) noexcept;

/// Writes to stdout, printable; DataError that says why it fails: a closed pipe, a full disk, a closed stream.
/// Interrupted if an interrupt comes while nobody reads.
void write_result(std::string_view text);

}  // namespace sheaf::io
