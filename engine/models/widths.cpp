#include "engine/models/widths.hpp"

#include <algorithm>

#include "kernels/core/error.hpp"

namespace sheaf {

std::vector<std::string> split_words(const std::string& text, char separator) {
  std::vector<std::string> words;
  for (size_t from = 0; from < text.size();) {
    const size_t to = std::min(text.find(separator, from), text.size());
    if (to > from) words.push_back(text.substr(from, to - from));
    from = to + 1;
  }
  return words;
}

std::vector<int64_t> parse_widths(const std::string& setting, const std::string& text, bool may_be_none,
                                  char separator) {
  std::vector<int64_t> widths;
  if (may_be_none && text == "none") return widths;
  bool good = !text.empty() && !text.ends_with(separator);
  for (const std::string& word : split_words(text, separator)) {
    const bool digits = word.size() <= 4 && std::ranges::all_of(word, [](char c) { return c >= '0' && c <= '9'; });
    good = good && digits && std::stoi(word) >= 1;
    if (!good) break;
    widths.push_back(std::stoi(word));
  }
  if (!good) {
    throw UsageError(
        setting + " = '" + text + "' is no list of widths",
        std::string("write it as ") + (separator == '-' ? "64-32" : "2+3") + (may_be_none ? ", or none" : ""));
  }
  return widths;
}

dense::Activation parse_activation(const std::string& text) {
  if (text == "sigmoid") return dense::Activation::sigmoid;
  if (text == "tanh") return dense::Activation::tanh;
  if (text == "gelu") return dense::Activation::gelu;
  return dense::Activation::relu;
}

}  // namespace sheaf
