#include "host/data/category_rules.hpp"

#include <algorithm>

namespace sheaf::data {
namespace {

bool in_word(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || byte >= 0x80;
}

std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words;
  for (size_t at = 0; at < text.size(); ++at) {
    if (!in_word(text[at])) continue;
    if (at == 0 || !in_word(text[at - 1])) words.emplace_back();
    words.back().push_back(text[at] >= 'A' && text[at] <= 'Z' ? static_cast<char>(text[at] - 'A' + 'a') : text[at]);
  }
  return words;
}

}  // namespace

CategoryRules::CategoryRules(const std::vector<CategoryRule>& rules, std::string other) : other_(std::move(other)) {
  for (const CategoryRule& rule : rules) {
    for (const std::string& phrase : rule.words) phrases_.emplace_back(parse(phrase), categories_.size());
    categories_.push_back(rule.category);
  }
}

const std::string& CategoryRules::category_of(std::string_view name) const {
  const std::vector<std::string> words = words_of(name);
  const auto found = std::ranges::find_if(phrases_, [&](const auto& entry) { return holds(words, entry.first); });
  return found == phrases_.end() ? other_ : categories_[found->second];
}

std::string CategoryRules::problem_of(std::string_view phrase) {
  if (words_of(phrase).empty()) return "has no letter and no digit";
  for (size_t at = 0; at < phrase.size(); ++at) {
    if (phrase[at] != '*') continue;
    const bool ends_word = at > 0 && in_word(phrase[at - 1]) && (at + 1 == phrase.size() || !in_word(phrase[at + 1]));
    if (!ends_word) return "has a * that does not end a word";
  }
  return {};
}

std::string CategoryRules::plain(std::string_view phrase) {
  std::string text;
  for (const Word& word : parse(phrase)) text += (text.empty() ? "" : " ") + word.text + (word.begins ? "*" : "");
  return text;
}

CategoryRules::Phrase CategoryRules::parse(std::string_view phrase) {
  Phrase parsed;
  size_t at = 0;
  for (const std::string& word : words_of(phrase)) {
    while (!in_word(phrase[at])) ++at;
    at += word.size();
    parsed.push_back({word, at < phrase.size() && phrase[at] == '*'});
  }
  return parsed;
}

bool CategoryRules::holds(const std::vector<std::string>& words, const Phrase& phrase) {
  const auto fits = [](const std::string& word, const Word& wanted) {
    return wanted.begins ? word.starts_with(wanted.text) : word == wanted.text;
  };
  return std::search(words.begin(), words.end(), phrase.begin(), phrase.end(), fits) != words.end();
}

}  // namespace sheaf::data
