#include "host/data/item_words.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "host/text/csv.hpp"

namespace sheaf::data {
namespace {

bool is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || static_cast<unsigned char>(c) >= 0x80;
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
  return out;
}

/// f(word) of each word of a name.
template <class F>
void for_words(std::string_view name, F&& f) {
  const std::string text = lower(name);
  for (size_t at = 0; at < text.size();) {
    size_t end = at;
    while (end < text.size() && is_word(text[end])) ++end;
    if (end > at) {
      std::string word = text.substr(at, end - at);
      if (word.size() > 3 && word.back() == 's' && word[word.size() - 2] != 's') word.pop_back();
      f(std::move(word));
    }
    at = end + 1;
  }
}

/// f(word) of each part of a category; the leading character parts it from the words of names.
template <class F>
void for_parts(std::string_view value, F&& f) {
  if (value == data::kNoValue) return;
  for (size_t at = 0; at <= value.size();) {
    const size_t end = std::min(value.find_first_of(">;|", at), value.size());
    const std::string_view part = text::trim(value.substr(at, end - at));
    if (!part.empty()) f("@" + lower(part));
    at = end + 1;
  }
}

}  // namespace

HostCsr item_words(const data::Prepared& prepared) {
  std::unordered_map<std::string, int32_t> codes;
  std::vector<int32_t> items, words;
  for (int64_t i = 0; i < prepared.n_items; ++i) {
    const auto item = static_cast<int32_t>(i);
    const auto at = static_cast<size_t>(i);
    const auto add = [&](std::string word) {
      words.push_back(codes.try_emplace(std::move(word), static_cast<int32_t>(codes.size())).first->second);
      items.push_back(item);
    };
    if (prepared.item_names[i] != prepared.item_ids[i]) for_words(prepared.item_names[i], add);
    const std::string_view category = prepared.category_names[prepared.item_category[at]];
    bool is_field = false;
    for (const data::CategoricalField& field : prepared.categorical) {
      const std::string_view value = field.values[field.codes[at]];
      is_field = is_field || value == category;
      for_parts(value, add);
    }
    if (!is_field) for_parts(category, add);
  }
  const std::vector<float> once(words.size(), 1.0f);
  return csr_from_pairs(items, words, once, prepared.n_items, static_cast<int64_t>(codes.size()));
}

}  // namespace sheaf::data
