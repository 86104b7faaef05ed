#pragma once
/// Categories from the words of items' names, for data that has none. Part of the importer.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sheaf::data {

/// Items whose name holds one of the phrases, unless an earlier rule took them.
struct CategoryRule {
  std::string category;
  std::vector<std::string> words;
};

/// A phrase is words in a row. A word with a trailing * stands for all words that begin so. Whatever is neither letter
/// nor digit separates words. Case does not matter (ASCII; every other byte counts as a letter).
class CategoryRules {
 public:
  CategoryRules(const std::vector<CategoryRule>& rules, std::string other);

  /// The first rule's category that fits, or `other`.
  const std::string& category_of(std::string_view name) const;

  /// What is wrong with a phrase; empty: nothing.
  static std::string problem_of(std::string_view phrase);
  /// How two phrases that take the same names are written alike.
  static std::string plain(std::string_view phrase);

 private:
  struct Word {
    std::string text;
    bool begins;  // any word that begins with it
  };
  using Phrase = std::vector<Word>;
  static Phrase parse(std::string_view phrase);
  static bool holds(const std::vector<std::string>& words, const Phrase& phrase);

  std::vector<std::string> categories_;
  std::vector<std::pair<Phrase, size_t>> phrases_;  // and the place of their category
  std::string other_;
};

}  // namespace sheaf::data
