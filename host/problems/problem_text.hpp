#pragma once
/// What the readers of problem files share.

#include <string_view>

namespace sheaf::problems {

/// Is the word a whole number that its double does not hold? 9007199254740993 is read as 9007199254740992.
bool is_rounded(std::string_view word, double value);
/// What to do then.
inline constexpr const char* kRoundedMend = "whole numbers are exact up to 9007199254740992 (2^53); use a larger unit";

}  // namespace sheaf::problems
