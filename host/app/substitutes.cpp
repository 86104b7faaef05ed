#include "host/app/substitutes.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <utility>

namespace sheaf::app {
namespace {

constexpr std::array<std::string_view, 26> kUnits{"OZ", "LB", "LBS", "CT",  "DZ", "DOZ", "GA",  "GAL", "QT",
                                                  "PT", "L",  "ML",  "LTR", "PK", "EA",  "FT",  "SQ",  "CU",
                                                  "IN", "YD", "G",   "KG",  "CM", "CAN", "BAG", "ROLL"};

char upper(char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; }

/// Whether a word at the end of a name is about size.
bool is_size(const std::string& word) {
  return std::ranges::any_of(word, [](char c) { return c >= '0' && c <= '9'; }) ||
         std::ranges::find(kUnits, word) != kUnits.end();
}

}  // namespace

std::string product_type(std::string_view name) {
  std::vector<std::string> words(1);
  for (const char c : name) {
    if (c == ' ') {
      if (!words.back().empty()) words.emplace_back();
    } else {
      words.back() += upper(c);
    }
  }
  if (words.back().empty()) words.pop_back();
  while (words.size() > 1 && is_size(words.back())) words.pop_back();
  std::string type;
  for (const std::string& word : words) type += (type.empty() ? "" : " ") + word;
  return type;
}

std::vector<int32_t> product_types(const data::Prepared& prepared) {
  std::map<std::pair<int32_t, std::string>, int32_t> numbers;
  std::vector<int32_t> types;
  for (size_t i = 0; i < prepared.item_category.size(); ++i) {
    const auto key = std::pair(prepared.item_category[i], product_type(prepared.item_names[static_cast<int32_t>(i)]));
    types.push_back(numbers.try_emplace(key, static_cast<int32_t>(numbers.size())).first->second);
  }
  return types;
}

std::vector<int32_t> known_categories(const data::Prepared& prepared) {
  std::vector<int32_t> categories = prepared.item_category;
  for (int32_t& category : categories) {
    if (prepared.category_names[category] == data::kNoValue) category = -1;
  }
  return categories;
}

PairRelations relate_pairs(const data::Prepared& prepared, const Purchases& purchases) {
  const std::vector<int32_t> categories = known_categories(prepared), types = product_types(prepared);
  return sheaf::relate_pairs({.baskets = purchases.train_baskets,
                              .basket_user = purchases.train_basket_user,
                              .basket_time = purchases.train_basket_time,
                              .category = categories,
                              .type = types});
}

HostCsr all_substitutes(const PairRelations& relations, const data::Prepared& prepared) {
  constexpr size_t kMaxItems = 2000;
  const std::vector<int32_t> category = known_categories(prepared);
  std::map<int32_t, std::vector<int32_t>> members;
  for (int32_t item = 0; item < std::ssize(category); ++item) {
    if (category[static_cast<size_t>(item)] >= 0) members[category[static_cast<size_t>(item)]].push_back(item);
  }
  std::vector<int32_t> rows, columns;
  const HostCsr known = relations.substitutes();
  for (int64_t row = 0; row < known.n_rows(); ++row) {
    for (const int32_t column : known.row(row)) {
      rows.push_back(static_cast<int32_t>(row));
      columns.push_back(column);
    }
  }
  for (const auto& [code, items] : members) {
    if (items.size() > kMaxItems) continue;
    for (size_t a = 0; a < items.size(); ++a) {
      for (size_t b = 0; b < a; ++b) {
        if (relations.kind(items[a], items[b]) != PairKind::substitute) continue;
        rows.insert(rows.end(), {items[a], items[b]});
        columns.insert(columns.end(), {items[b], items[a]});
      }
    }
  }
  return csr_from_pairs(rows, columns, {}, prepared.n_items, prepared.n_items);
}

}  // namespace sheaf::app
