#include "host/data/clean.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <string_view>

#include "engine/data/shown.hpp"
#include "kernels/core/interrupt.hpp"
#include "kernels/core/parallel.hpp"

namespace sheaf::data {
namespace {

constexpr int64_t kRowsPerChunk = 8192;
constexpr size_t kMaxExamples = 3;
constexpr size_t kExampleWidth = 80;

/// A rule as a question to a row. `value` says what to show of a row that breaks it.
struct RowRule {
  const char* name;
  std::string meaning;
  bool active;
  std::function<bool(int64_t row)> breaks;
  std::function<std::string(int64_t row)> value;
};

bool contains(const std::vector<std::string>& list, std::string_view value) {
  return std::ranges::find(list, value) != list.end();
}

/// An id of the list, or a beginning of it that the list writes with a star.
bool matches(const std::vector<std::string>& patterns, std::string_view id) {
  return std::ranges::any_of(patterns, [&](std::string_view pattern) {
    return pattern.ends_with('*') ? id.starts_with(pattern.substr(0, pattern.size() - 1)) : id == pattern;
  });
}

/// What the rules need to know of each item code.
struct ItemFlags {
  std::vector<uint8_t> excluded, unknown;  // [n item codes]
};

ItemFlags flag_items(const Rows& rows, const ItemTable* items, const ImportConfig& config) {
  ItemFlags flags;
  for (const std::string_view id : rows.items.strings()) {
    const int64_t at = items == nullptr ? -1 : items->find(id);
    bool excluded = matches(config.clean.exclude_items, id);
    if (at >= 0) {
      for (const auto& [column, values] : config.clean.exclude) {
        excluded = excluded || contains(values, items->value(column, at));
      }
      excluded = excluded || (!config.items.category.empty() &&
                              contains(config.clean.exclude_categories, items->value(config.items.category, at)));
    }
    flags.excluded.push_back(excluded);
    flags.unknown.push_back(items != nullptr && at < 0);
  }
  return flags;
}

std::vector<RowRule> make_rules(const Rows& rows, const ImportConfig& config, const ItemFlags& flags,
                                const std::vector<uint8_t>& duplicate) {
  const auto& clean = config.clean;
  const auto& columns = config.columns;
  const auto at = [](int64_t row) { return static_cast<size_t>(row); };
  const auto field = [&rows](const std::string& column) {
    return [&rows, &column](int64_t row) { return std::string(rows.text(column, row)); };
  };
  const auto raw = [&rows](int64_t row) { return std::string(rows.source.raw(row)); };
  const auto item_code = [&rows, at](int64_t row) { return static_cast<size_t>(rows.item[at(row)]); };
  const bool has_price = !columns.price.empty() || !columns.amount.empty();

  std::vector<RowRule> rules;
  rules.push_back({"cancelled_basket",
                   clean.cancelled_basket_prefix.empty()
                       ? std::string("the basket is cancelled (no prefix is configured)")
                       : fmt::format("the basket begins with '{}'", clean.cancelled_basket_prefix),
                   !clean.cancelled_basket_prefix.empty(),
                   [&](int64_t row) {
                     return !clean.cancelled_basket_prefix.empty() &&
                            rows.text(columns.basket, row).starts_with(clean.cancelled_basket_prefix);
                   },
                   field(columns.basket)});
  rules.push_back({"duplicate", "the row repeats an earlier one exactly", clean.drop_duplicates,
                   [&duplicate, at](int64_t row) { return duplicate[at(row)] != 0; }, raw});
  rules.push_back({"missing_user", "no user is given", clean.require_user,
                   [&rows, at](int64_t row) { return rows.has_user[at(row)] == 0; }, raw});
  rules.push_back({"quantity",
                   clean.min_quantity > 0.0 ? fmt::format("the quantity is below {}", clean.min_quantity)
                                            : std::string("the quantity is not positive"),
                   !columns.quantity.empty(),
                   [&, at](int64_t row) {
                     const double quantity = rows.quantity[at(row)];
                     return quantity <= 0.0 || quantity < clean.min_quantity;
                   },
                   field(columns.quantity)});
  rules.push_back({"price", "the price is not positive", clean.require_positive_price && has_price,
                   [&rows, has_price, at](int64_t row) { return has_price && rows.paid[at(row)] <= 0.0; },
                   field(columns.price.empty() ? columns.amount : columns.price)});
  rules.push_back({"excluded", "the item or its category is excluded",
                   !clean.exclude_items.empty() || !clean.exclude_categories.empty() || !clean.exclude.empty(),
                   [&, item_code](int64_t row) {
                     return flags.excluded[item_code(row)] != 0 ||
                            (!columns.category.empty() &&
                             contains(clean.exclude_categories, rows.text(columns.category, row)));
                   },
                   field(columns.item)});
  rules.push_back(
      {"unknown_item", "the side table does not have the item", clean.drop_unknown_items && !config.items.file.empty(),
       [&flags, item_code](int64_t row) { return flags.unknown[item_code(row)] != 0; }, field(columns.item)});
  return rules;
}

}  // namespace

std::vector<int64_t> clean_rows(const Rows& rows, const ItemTable* items, const ImportConfig& config,
                                const Context& context, ImportReport& report) {
  const std::vector<uint8_t> duplicate = rows.source.find_duplicates();
  check_interrupt("import");
  const ItemFlags flags = flag_items(rows, items, config);
  const std::vector<RowRule> rules = make_rules(rows, config, flags, duplicate);

  // Bit r of a row: it breaks rule r.
  std::vector<uint8_t> broken(static_cast<size_t>(rows.size()), 0);
  parallel_for(context, rows.size(), kRowsPerChunk, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      if (rows.is_malformed(row)) continue;
      for (size_t r = 0; r < rules.size(); ++r) {
        if (rules[r].breaks(row)) broken[static_cast<size_t>(row)] |= static_cast<uint8_t>(1u << r);
      }
    }
  });

  report.rows_read = rows.size();
  ImportReport::Rule malformed{"malformed", "the row cannot be read", config.clean.drop_malformed, 0, 0, {}};
  std::vector<ImportReport::Rule> counted;
  for (const RowRule& rule : rules) counted.push_back({rule.name, rule.meaning, rule.active, 0, 0, {}});
  std::vector<int64_t> kept;
  for (int64_t row = 0; row < rows.size(); ++row) {
    check_interrupt();
    if (rows.is_malformed(row)) {
      ++malformed.breaks;
      ++malformed.dropped;
      if (malformed.examples.size() < kMaxExamples) {
        malformed.examples.push_back(rows.source.example(row, text::shown(rows.source.raw(row), kExampleWidth)));
      }
      continue;
    }
    bool dropped = false;
    for (size_t r = 0; r < rules.size(); ++r) {
      if ((broken[static_cast<size_t>(row)] >> r & 1u) == 0) continue;
      ++counted[r].breaks;
      if (counted[r].examples.size() < kMaxExamples) {
        counted[r].examples.push_back(rows.source.example(row, text::shown(rules[r].value(row), kExampleWidth)));
      }
      if (rules[r].active && !dropped) {
        ++counted[r].dropped;
        dropped = true;
      }
    }
    if (!dropped) kept.push_back(row);
  }
  report.rules.push_back(std::move(malformed));
  report.rules.insert(report.rules.end(), counted.begin(), counted.end());
  return kept;
}

std::vector<int32_t> number_baskets(const Rows& rows, const std::vector<int64_t>& kept) {
  std::vector<uint64_t> keys;
  keys.reserve(kept.size());
  for (const int64_t row : kept) {
    keys.push_back(code_pair(rows.user[static_cast<size_t>(row)], rows.basket[static_cast<size_t>(row)]));
  }
  std::vector<uint64_t> distinct = keys;
  sort_pairs(distinct);
  distinct.erase(std::unique(distinct.begin(), distinct.end()), distinct.end());
  std::vector<int32_t> number(distinct.size(), -1), baskets;
  baskets.reserve(kept.size());
  int32_t next = 0;
  for (const uint64_t key : keys) {
    check_interrupt();
    int32_t& own = number[static_cast<size_t>(std::ranges::lower_bound(distinct, key) - distinct.begin())];
    if (own < 0) own = next++;
    baskets.push_back(own);
  }
  return baskets;
}

}  // namespace sheaf::data
