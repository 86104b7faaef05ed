#pragma once
/// One JSON object in a line, such as {"user": "u1", "price": 2.50}.

#include <functional>
#include <string>
#include <string_view>

namespace sheaf::text {

/// Calls `take` for each key of the object in turn: numbers as they are written, true, false, and null as an empty
/// text. `is_nested`: the value is a list or an object, and has no text. False for what is no JSON object, or has a key
/// twice or a NUL in a text; `take` may have been called by then.
bool read_json_object(std::string_view line,
                      const std::function<void(const std::string& key, std::string text, bool is_nested)>& take);

}  // namespace sheaf::text
