#pragma once
/// Argument checks of the public ops. They run in `<op>.cpp`, before any backend is chosen, and nowhere else.

#include <string>

#include "kernels/core/error.hpp"

namespace sheaf {

/// Throws UsageError("<op>: <message>") unless `condition` holds. `message` says what was expected and what was given.
inline void check_argument(bool condition, const char* op, const std::string& message) {
  if (!condition) throw UsageError(std::string(op) + ": " + message);
}

}  // namespace sheaf
