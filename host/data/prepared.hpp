#pragma once
/// The prepared data set: cleaned, encoded and split interactions with what is known of the items. Every other part of
/// the program reads it. On disk it is a folder of kind "prepared": prepared.safetensors and manifest.json.

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "host/data/string_table.hpp"

namespace sheaf::data {

inline constexpr uint8_t kTrain = 0, kValidation = 1, kTest = 2;
inline constexpr const char* kPreparedKind = "prepared";
/// What stands for an empty category or categorical value.
inline constexpr const char* kNoValue = "(none)";

struct CategoricalField {
  std::string name;
  std::vector<int32_t> codes;  // [n_items]
  StringTable values;          // ascending
};

struct Prepared {
  std::string name, currency;
  int64_t n_users = 0, n_items = 0, n_baskets = 0;

  // One entry an interaction (a line of a basket), in the order of (timestamp, row of the source).
  std::vector<int32_t> user, item, basket;
  std::vector<int64_t> timestamp;  // seconds since 1970-01-01, in the source's own time zone
  std::vector<float> quantity;
  std::vector<float> price;     // paid for one unit
  std::vector<float> discount;  // of the whole line, >= 0
  std::vector<uint8_t> split;   // kTrain, kValidation, kTest

  StringTable user_ids, item_ids;      // ascending: codes are ranks
  StringTable item_names;              // [n_items]
  StringTable category_names;          // ascending
  std::vector<int32_t> item_category;  // [n_items] into category_names
  std::vector<CategoricalField> categorical;

  std::vector<std::string> numeric_names;  // "log_price" first: log1p(item_price)
  std::vector<float> item_numeric;         // [n_items, n_numeric], (value - mean) / deviation; a missing value is 0
  std::vector<float> numeric_mean, numeric_deviation;  // over the items seen in train; a deviation of 0 is stored as 1
  int64_t vector_dim = 0;                              // 0: the items have no vectors
  std::vector<float> item_vectors;  // [n_items, vector_dim] made elsewhere, of unit length unless the import says
                                    // otherwise; zeros for an item without one
  /// [n_items] median unit price before discount over the item's training lines; over all its lines if it has none in
  /// train.
  std::vector<float> item_price;

  nlohmann::json import_summary;

  int64_t n_interactions() const noexcept { return static_cast<int64_t>(user.size()); }
  /// Whether the source had such a column. Without it every price is 0, every time 1970-01-01, every category kNoValue.
  bool has_prices() const;
  bool has_times() const;
  bool has_categories() const;
  /// Code of an id; DataError that names the nearest known id if there is none.
  int32_t find_user(std::string_view id) const;
  int32_t find_item(std::string_view id) const;
  int32_t find_category(std::string_view id) const;
  /// Whether some basket has two different items.
  bool has_pairs() const;
};

/// Writes the folder, replacing an older prepared set. The same data gives the same bytes.
void save_prepared(const Prepared& prepared, const std::filesystem::path& folder);
/// DataError if anything in the folder is missing, changed or inconsistent.
Prepared load_prepared(const std::filesystem::path& folder);

}  // namespace sheaf::data
