#pragma once
/// From files of transactions to a prepared data set: read, clean, split, thin, encode. README.md of this folder
/// explains each key of the import configuration.

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "host/data/category_rules.hpp"
#include "host/data/prepared.hpp"
#include "host/text/csv.hpp"

namespace sheaf::data {

enum class SplitKind { temporal, random, leave_last_out, given };

struct ImportConfig {
  /// What a line of the transactions is: one item of a basket, or a basket with all its items.
  enum class Layout { rows, baskets };
  struct Source {
    std::string name, currency;
    Layout layout = Layout::rows;
    text::CsvOptions csv;
  } source;
  /// Names of columns, or numbers from 1 where there is no header; an empty one is not there.
  struct Columns {
    std::string user, basket, item, timestamp, quantity, price, amount, item_name, category;
    std::vector<std::string> discount;  // summed
    std::vector<std::string> ignore;    // of the layout "baskets": neither named above nor items
  } columns;
  struct Timestamp {
    std::vector<std::string> formats{"%Y-%m-%d %H:%M:%S"};  // tried in this order
    std::optional<int64_t> first_year, last_year;           // others are refused; 1900 and the next year if not given
  } timestamp;
  struct Items {
    std::string file;  // relative to the transactions' folder; empty: no side table
    std::string key, category;
    std::vector<std::string> name, categorical, numeric;
  } items;
  /// Made elsewhere from texts or images; no file: none.
  struct Vectors {
    std::string file, ids;  // relative to the transactions' folder; without ids: in the order of the side table's rows
    std::string tensor;     // of a .safetensors that has several
    bool normalise = true;  // to unit length
  } vectors;
  /// For data without a column of categories; no rules: none are made.
  struct Categories {
    std::vector<CategoryRule> rules;
    std::string other = "other";  // of items that no rule takes
  } categories;
  struct Clean {
    /// What stands for a missing value in any column, besides nothing and blanks.
    std::vector<std::string> missing{"NA", "N/A", "#N/A", "<NA>", "n/a", "NaN", "nan", "NULL", "null", "None", "\\N"};
    bool trim = false;                    // whether blanks are taken off the ends of values
    std::string cancelled_basket_prefix;  // empty: no such rule
    bool drop_duplicates = true;
    bool require_user = true;
    double min_quantity = 0.0;  // a quantity must be positive and at least this
    bool require_positive_price = true;
    bool drop_unknown_items = true;                           // items that the side table does not have
    std::vector<std::string> exclude_items;                   // ids; a trailing * matches any ending
    std::vector<std::string> exclude_categories;              // values of the category column
    std::map<std::string, std::vector<std::string>> exclude;  // column of the side table -> values
    int64_t min_item_users = 0, min_user_items = 0;           // counted in train; 0: no such rule
    bool drop_malformed = false;                              // else the first malformed row stops the import
  } clean;
  struct Split {
    SplitKind kind = SplitKind::temporal;
    double validation_days = 28, test_days = 28;
    double validation_fraction = 0.1, test_fraction = 0.1;
    std::string column;  // holds train, validation or test
    uint64_t seed = 1;
  } split;
};

/// UsageError with file and line for an unknown key (and the nearest valid one), a wrong type or a value out of range.
ImportConfig load_import_config(const std::filesystem::path& toml_path);

struct ImportReport {
  struct Example {
    int64_t line = 0;  // of the source file, from 1
    std::string value;
    std::string file;  // its name, where there are several
  };
  struct Rule {
    std::string name, meaning;
    bool active = false;            // whether rows that break it are dropped
    int64_t breaks = 0;             // rows of the source that break the rule, whatever else is wrong with them
    int64_t dropped = 0;            // rows dropped by it: the first rule in order takes the row
    std::vector<Example> examples;  // the first 3 that break it
  };
  /// Values that are read as something else than they say, or may be.
  enum class ValueKind { missing, trimmed, padded };
  struct ValueCount {
    ValueKind kind = ValueKind::missing;
    std::string column, marker;  // empty: nothing but blanks; of the kind `missing`
    int64_t values = 0;
    Example first;
  };
  int64_t rows_read = 0;
  std::vector<ValueCount> values;
  std::vector<std::pair<std::string, int64_t>> time_formats;  // rows of each, where there are several formats
  std::vector<Rule> rules;
  int64_t rows_kept = 0, n_users = 0, n_items = 0, n_baskets = 0;
  int64_t split_rows[3] = {0, 0, 0};  // train, validation, test
  /// Of the same parts; the times mean nothing in a part without rows, and where the data has none.
  struct Part {
    int64_t baskets = 0, first = 0, last = 0;
  };
  Part parts[3];
  bool has_times = false;
  /// Of a temporal split: what is later than these is validation or test.
  std::optional<int64_t> validation_after, test_after;
  std::vector<std::string> warnings;  // one depends on today's date, so they are not part of what is saved
  /// Items of each category that the words of names made, in the order of the rules.
  std::vector<std::pair<std::string, int64_t>> categories;
  struct Vectors {
    int64_t dim = 0, items = 0, missing = 0;  // items with a vector and without one
    int64_t unknown = 0;                      // vectors of ids that the data does not have
  };
  std::optional<Vectors> vectors;
  double seconds = 0.0;  // wall time; not part of what is saved

  /// The rule of that name; UsageError if there is none.
  const Rule& rule(const std::string& name) const;
};

/// Imports files of transactions (plain or .gz) as if they were one: the same id means the same in all of them. The
/// side table of items is looked for beside the first. UsageError for a file that is named twice. The result does not
/// depend on the number of threads (0: all cores).
std::pair<Prepared, ImportReport> import_files(const std::vector<std::filesystem::path>& paths,
                                               const ImportConfig& config, int n_threads = 0);
/// Imports one file.
std::pair<Prepared, ImportReport> import_file(const std::filesystem::path& path, const ImportConfig& config,
                                              int n_threads = 0);

}  // namespace sheaf::data
