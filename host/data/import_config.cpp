#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string_view>

#include "engine/data/nearest.hpp"
#include "engine/data/shown.hpp"
#include "host/config/toml.hpp"
#include "host/data/import.hpp"
#include "host/data/source.hpp"
#include "host/data/times.hpp"
#include "host/data/timestamp.hpp"
#include "host/data/values.hpp"
#include "host/text/encoding.hpp"
#include "kernels/core/error.hpp"

namespace sheaf::data {
namespace {

using config::location;

/// One section of the file. It remembers which keys were asked for, so that finish() can name those that nobody knows.
class Section {
 public:
  Section(const std::filesystem::path& path, const toml::table& file, std::string name)
      : path_(path), name_(std::move(name)) {
    const toml::node* node = file.get(name_);
    if (node == nullptr) return;
    table_ = node->as_table();
    if (table_ == nullptr) throw UsageError(fmt::format("{}{} is not a section", location(path_, *node), name_));
  }

  /// A table inside of a section.
  Section(std::string name, const std::filesystem::path& path, const toml::table& table)
      : path_(path), name_(std::move(name)), table_(&table) {}

  void read(const char* key, std::string& value) { read_exact(key, value, "a string"); }
  void read(const char* key, bool& value) { read_exact(key, value, "true or false"); }
  void read(const char* key, int64_t& value, int64_t low) {
    const toml::node* node = find(key);
    if (node == nullptr) return;
    const auto read = node->value_exact<int64_t>();
    if (!read || *read < low) fail(key, *node, fmt::format("an integer of at least {}", low));
    value = *read;
  }
  void read(const char* key, double& value, double low, double high) {
    const toml::node* node = find(key);
    if (node == nullptr) return;
    const auto read = config::number_of(*node);
    if (!read || !(*read >= low && *read <= high)) {
      fail(key, *node,
           std::isinf(high) ? fmt::format("a number of at least {}", low)
                            : fmt::format("a number from {} to {}", low, high));
    }
    value = *read;
  }
  void read(const char* key, std::vector<std::string>& values) {
    if (const toml::node* node = find(key)) values = strings(key, *node);
  }
  /// A list of strings; a string alone is a list of one.
  void read_some(const char* key, std::vector<std::string>& values) {
    const toml::node* node = find(key);
    if (node == nullptr) return;
    if (const auto one = node->value_exact<std::string>()) {
      values = {*one};
      return;
    }
    if (!node->is_array() || node->as_array()->empty()) fail(key, *node, "a string or a list of strings");
    values = strings(key, *node);
  }
  /// A column: its name or, without a header, its number from 1.
  void read_column(const char* key, std::string& column, bool header) {
    if (const toml::node* node = find(key)) column = column_of(key, *node, header);
  }
  void read_columns(const char* key, std::vector<std::string>& columns, bool header) {
    const toml::node* node = find(key);
    if (node == nullptr) return;
    const toml::array* array = node->as_array();
    if (array == nullptr) fail(key, *node, header ? "a list of strings" : "a list of numbers of columns");
    for (const toml::node& element : *array) columns.push_back(column_of(key, element, header));
  }
  /// A table of lists of strings.
  void read(const char* key, std::map<std::string, std::vector<std::string>>& lists) {
    const toml::node* node = find(key);
    if (node == nullptr) return;
    if (!node->is_table()) fail(key, *node, "a table like { department = [\"FUEL\"] }");
    for (const auto& [name, list] : *node->as_table()) lists[std::string(name.str())] = strings(key, list);
  }
  /// One of `choices`; its position, or `usual` if the key is not there.
  size_t choice(const char* key, const std::vector<std::string>& choices, size_t usual) {
    const toml::node* node = find(key);
    if (node == nullptr) return usual;
    const auto text = node->value_exact<std::string>();
    const auto found = std::ranges::find(choices, text.value_or(""));
    if (!text || found == choices.end()) fail(key, *node, "one of " + text::join(choices));
    return static_cast<size_t>(found - choices.begin());
  }

  void finish() const {
    if (table_ == nullptr) return;
    for (const auto& [key, node] : *table_) {
      const std::string name(key.str());
      if (std::ranges::find(known_, name) != known_.end()) continue;
      throw UsageError(fmt::format("{}[{}] has no key '{}'", location(path_, node), name_, text::shown(name)),
                       fmt::format("did you mean '{}'?", text::nearest(name, known_)));
    }
  }

  [[noreturn]] void fail(const char* key, const toml::node& node, const std::string& expected) const {
    throw UsageError(fmt::format("{}{}.{}: expected {}", location(path_, node), name_, key, expected));
  }
  const toml::node* find(const char* key) {
    known_.emplace_back(key);
    return table_ == nullptr ? nullptr : table_->get(key);
  }

 private:
  template <class T>
  void read_exact(const char* key, T& value, const char* expected) {
    const toml::node* node = find(key);
    if (node == nullptr) return;
    const auto read = node->value_exact<T>();
    if (!read) fail(key, *node, expected);
    value = *read;
  }
  std::string column_of(const char* key, const toml::node& node, bool header) const {
    if (header) {
      if (const auto name = node.value_exact<std::string>()) return *name;
      fail(key, node, node.is_integer() ? "a string; a number needs header = false under [source]" : "a string");
    }
    const auto number = node.value_exact<int64_t>();
    if (!number || *number < 1) fail(key, node, "the number of a column, from 1, because the file has no header");
    return std::to_string(*number);
  }
  std::vector<std::string> strings(const char* key, const toml::node& node) const {
    std::vector<std::string> values;
    const toml::array* array = node.as_array();
    if (array == nullptr) fail(key, node, "a list of strings");
    for (const toml::node& element : *array) {
      const auto text = element.value_exact<std::string>();
      if (!text) fail(key, element, "a list of strings");
      values.push_back(*text);
    }
    return values;
  }

  const std::filesystem::path& path_;
  std::string name_;
  const toml::table* table_ = nullptr;
  std::vector<std::string> known_;
};

void read_number_format(Section& section, text::NumberFormat& number) {
  std::string decimal(1, number.decimal);
  section.read("decimal", decimal);
  if (decimal != "." && decimal != ",") section.fail("decimal", *section.find("decimal"), "\".\" or \",\"");
  number.decimal = decimal[0];
  section.read("thousands", number.thousands);
  const std::vector<std::string> separators{"", ",", ".", " ", "'", "’", "_"};
  if (number.thousands == decimal || std::ranges::find(separators, number.thousands) == separators.end()) {
    section.fail("thousands", *section.find("thousands"),
                 "one of \",\", \".\", \" \", \"'\", \"’\", \"_\" that decimal is not");
  }
}

void read_source(Section section, ImportConfig::Source& source) {
  section.read("name", source.name);
  section.read("currency", source.currency);
  text::CsvOptions& csv = source.csv;
  const size_t format = section.choice("format", {"csv", "tsv", "whitespace", "jsonl"}, 0);
  csv.format = format == 2   ? text::RowFormat::whitespace
               : format == 3 ? text::RowFormat::json_lines
                             : text::RowFormat::delimited;
  if (format == 1) csv.delimiter = "\t";
  const auto read_mark = [&](const char* key, std::string& value) {
    const toml::node* node = section.find(key);
    section.read(key, value);
    if (node != nullptr && (value.empty() || value.find_first_of("\"\r\n") != std::string::npos)) {
      section.fail(key, *node, "characters that are no quote and no line end, one at least");
    }
    return node;
  };
  const toml::node* const delimiter = read_mark("delimiter", csv.delimiter);
  if (delimiter != nullptr && csv.format != text::RowFormat::delimited) {
    section.fail("delimiter", *delimiter, "no delimiter with format = \"whitespace\" or \"jsonl\"");
  }
  read_mark("comment", csv.comment);
  section.read("header", csv.header);
  if (!csv.header && csv.format == text::RowFormat::json_lines) {
    section.fail("header", *section.find("header"), "true with format = \"jsonl\", whose keys are the columns");
  }
  section.read("encoding", csv.text.encoding);
  if (!text::is_encoding(csv.text.encoding)) {
    section.fail("encoding", *section.find("encoding"),
                 "an encoding that iconv knows, such as \"utf-8\", \"cp1252\", \"latin1\", \"utf-16le\"");
  }
  read_number_format(section, csv.number);
  section.read("max_expansion", csv.text.max_expansion, 1);
  section.read("max_line_bytes", csv.max_line_bytes, 1);
  section.read("max_columns", csv.max_columns, 1);
  constexpr int64_t kMostBytes = INT32_MAX;  // fields of a row are counted in 32 bits
  if (csv.max_line_bytes > kMostBytes) {
    section.fail("max_line_bytes", *section.find("max_line_bytes"), fmt::format("at most {}", kMostBytes));
  }
  source.layout = static_cast<ImportConfig::Layout>(section.choice("layout", {"rows", "baskets"}, 0));
  if (section.find("header") == nullptr) csv.header = source.layout == ImportConfig::Layout::rows;
  section.finish();
}

void read_columns(Section section, const ImportConfig::Source& source, ImportConfig::Columns& columns) {
  const bool header = source.csv.header, baskets = source.layout == ImportConfig::Layout::baskets;
  const auto of_item = [&](const char* key) {
    const toml::node* node = section.find(key);
    if (baskets && node != nullptr) {
      section.fail(key, *node,
                   "nothing: with layout = \"baskets\" every field of a line that [columns] does not name "
                   "is an item");
    }
  };
  for (const char* key : {"item", "quantity", "price", "amount", "discount", "item_name", "category"}) of_item(key);
  section.read_column("user", columns.user, header);
  section.read_column("basket", columns.basket, header);
  section.read_column("item", columns.item, header);
  section.read_column("timestamp", columns.timestamp, header);
  section.read_column("quantity", columns.quantity, header);
  section.read_column("price", columns.price, header);
  section.read_column("amount", columns.amount, header);
  section.read_columns("discount", columns.discount, header);
  section.read_column("item_name", columns.item_name, header);
  section.read_column("category", columns.category, header);
  section.read_columns("ignore", columns.ignore, header);
  if (!baskets && !columns.ignore.empty()) {
    section.fail("ignore", *section.find("ignore"), "nothing: with layout = \"rows\" only named columns are read");
  }
  section.finish();
  if (!baskets) return;
  columns.item = kItemOfLine;
  if (columns.basket.empty()) columns.basket = kBasketOfLine;
}

void read_timestamp(Section section, ImportConfig::Timestamp& timestamp) {
  constexpr size_t kMaxFormats = 16;
  section.read_some("format", timestamp.formats);
  if (timestamp.formats.size() > kMaxFormats) {
    section.fail("format", *section.find("format"), fmt::format("at most {} formats", kMaxFormats));
  }
  for (const std::string& format : timestamp.formats) {
    const std::string problem = timestamp_format_problem(format);
    if (!problem.empty())
      section.fail("format", *section.find("format"), fmt::format("a format; '{}' {}", text::shown(format), problem));
  }
  const auto year = [&](const char* key, std::optional<int64_t>& value) {
    const toml::node* node = section.find(key);
    if (node == nullptr) return;
    value = node->value_exact<int64_t>();
    if (!value || *value < 0 || *value > 9999) section.fail(key, *node, "a year from 0 to 9999");
  };
  year("first_year", timestamp.first_year);
  year("last_year", timestamp.last_year);
  const TimeLimits limits = time_limits(timestamp);
  if (limits.first_year > limits.last_year) {
    section.fail(timestamp.first_year ? "first_year" : "last_year",
                 *section.find(timestamp.first_year ? "first_year" : "last_year"),
                 fmt::format("years in order, not {} to {}", limits.first_year, limits.last_year));
  }
  section.finish();
}

void read_items(Section section, ImportConfig::Items& items) {
  section.read("file", items.file);
  section.read("key", items.key);
  section.read("name", items.name);
  section.read("category", items.category);
  section.read("categorical", items.categorical);
  section.read("numeric", items.numeric);
  section.finish();
}

void read_vectors_section(Section section, ImportConfig::Vectors& vectors) {
  section.read("file", vectors.file);
  section.read("ids", vectors.ids);
  section.read("tensor", vectors.tensor);
  section.read("normalise", vectors.normalise);
  section.finish();
}

/// Categories by words; a phrase of an earlier rule would never be reached.
std::vector<CategoryRule> read_rules(const Section& section, const std::filesystem::path& path,
                                     const toml::node& node) {
  const char* shape = "tables like { category = \"mugs\", words = [\"mug\", \"teacup*\"] }";
  const toml::array* list = node.as_array();
  if (list == nullptr || list->empty()) section.fail("rules", node, shape);
  std::vector<CategoryRule> rules;
  std::map<std::string, std::string> taken;  // phrase -> its category
  for (const toml::node& entry : *list) {
    const toml::table* table = entry.as_table();
    if (table == nullptr) section.fail("rules", entry, shape);
    Section one("categories.rules", path, *table);
    CategoryRule& rule = rules.emplace_back();
    one.read("category", rule.category);
    one.read("words", rule.words);
    one.finish();
    const toml::node* words = table->get("words");
    if (rule.category.empty()) section.fail("rules", entry, "a category that is not empty");
    if (rule.words.empty()) section.fail("rules", entry, "words, at least one");
    for (size_t w = 0; w < rule.words.size(); ++w) {
      const std::string& phrase = rule.words[w];
      const toml::node& place = *words->as_array()->get(w);
      const std::string problem = CategoryRules::problem_of(phrase);
      if (!problem.empty()) section.fail("rules", place, fmt::format("words; '{}' {}", text::shown(phrase), problem));
      const auto [at, is_new] = taken.emplace(CategoryRules::plain(phrase), rule.category);
      if (is_new) continue;
      throw UsageError(fmt::format("{}categories.rules: '{}' stands twice, first for '{}'", location(path, place),
                                   text::shown(phrase), text::shown(at->second)),
                       "keep one: the first rule that fits decides");
    }
  }
  return rules;
}

void read_categories(Section section, const std::filesystem::path& path, ImportConfig::Categories& categories) {
  section.read("other", categories.other);
  if (const toml::node* rules = section.find("rules")) categories.rules = read_rules(section, path, *rules);
  section.finish();
}

void read_clean(Section section, ImportConfig::Clean& clean) {
  section.read("missing", clean.missing);
  for (const std::string& marker : clean.missing) {
    const std::string_view bare = without_blanks(marker);
    if (bare.empty() || bare == marker) continue;
    section.fail("missing", *section.find("missing"),
                 fmt::format("'{}' in place of '{}': blanks around a marker do not matter", bare, marker));
  }
  section.read("trim", clean.trim);
  section.read("cancelled_basket_prefix", clean.cancelled_basket_prefix);
  section.read("drop_duplicates", clean.drop_duplicates);
  section.read("require_user", clean.require_user);
  section.read("min_quantity", clean.min_quantity, 0.0, std::numeric_limits<double>::infinity());
  section.read("require_positive_price", clean.require_positive_price);
  section.read("drop_unknown_items", clean.drop_unknown_items);
  section.read("exclude_items", clean.exclude_items);
  section.read("exclude_categories", clean.exclude_categories);
  section.read("exclude", clean.exclude);
  section.read("min_item_users", clean.min_item_users, 0);
  section.read("min_user_items", clean.min_user_items, 0);
  clean.drop_malformed = section.choice("malformed", {"error", "drop"}, 0) == 1;
  section.finish();
}

void read_split(Section section, bool header, ImportConfig::Split& split) {
  constexpr double kManyDays = 1e6;
  split.kind = static_cast<SplitKind>(section.choice("kind", {"temporal", "random", "leave_last_out", "given"}, 0));
  section.read("validation_days", split.validation_days, 0.0, kManyDays);
  section.read("test_days", split.test_days, 0.0, kManyDays);
  section.read("validation_fraction", split.validation_fraction, 0.0, 1.0);
  section.read("test_fraction", split.test_fraction, 0.0, 1.0);
  section.read_column("column", split.column, header);
  auto seed = static_cast<int64_t>(split.seed);
  section.read("seed", seed, 0);
  split.seed = static_cast<uint64_t>(seed);
  section.finish();
}

/// What no section can see alone.
void check_whole(const std::filesystem::path& path, const ImportConfig& config) {
  const auto require = [&](bool good, const char* what, const char* mend) {
    if (!good) throw UsageError(fmt::format("{}: {}", path.string(), what), mend);
  };
  const auto& columns = config.columns;
  const auto& items = config.items;
  require(!columns.item.empty(), "columns.item is not given", "name the column that identifies the product");
  require(!columns.user.empty() || !columns.basket.empty(), "neither columns.user nor columns.basket is given",
          "name at least one of them");
  require(!columns.user.empty() || !config.clean.require_user, "columns.user is not given, yet users are required",
          "name the column, or set require_user = false under [clean]: every basket is then a user");
  require(columns.price.empty() || columns.amount.empty(), "columns.price and columns.amount are both given",
          "keep one: price is of a unit, amount of the line");
  require(columns.amount.empty() || !columns.quantity.empty(), "columns.amount needs columns.quantity",
          "name the column of pieces");
  require(items.file.empty() == items.key.empty(), "items.file and items.key belong together", "give both or none");
  require(!items.file.empty() || (items.name.empty() && items.category.empty() && items.categorical.empty() &&
                                  items.numeric.empty() && config.clean.exclude.empty()),
          "[items] and clean.exclude name columns of a side table, yet items.file is not given", "give items.file");
  const auto& vectors = config.vectors;
  require(!vectors.file.empty() || (vectors.ids.empty() && vectors.tensor.empty()),
          "[vectors] names ids or a tensor, yet vectors.file is not given", "give vectors.file");
  require(vectors.file.empty() || !vectors.ids.empty() || !items.file.empty(),
          "vectors.file has no ids: neither vectors.ids nor items.file is given",
          "give vectors.ids, a file with an id a line in the order of the vectors");
  const bool by_words = !config.categories.rules.empty();
  require(!by_words || (columns.category.empty() && items.category.empty()),
          "[categories] makes categories, yet a column has them already", "keep one of the two");
  require(!by_words || !columns.item_name.empty() || !items.name.empty(),
          "[categories] looks at the items' names, yet no column has them", "give columns.item_name or items.name");
  require(!by_words || config.clean.exclude_categories.empty(),
          "clean.exclude_categories asks for a column of categories, yet [categories] makes them after the cleaning",
          "leave categories out of a search with search.categories");
  require(config.split.validation_fraction + config.split.test_fraction < 1.0,
          "split.validation_fraction and split.test_fraction leave nothing to train on", "make them smaller");
  require(config.split.kind != SplitKind::given || !config.split.column.empty(), "split.column is not given",
          "name the column that holds train, validation or test");
  const bool needs_time = config.split.kind == SplitKind::temporal || config.split.kind == SplitKind::leave_last_out;
  require(!needs_time || !columns.timestamp.empty(), "this split needs columns.timestamp",
          "name the column, or set kind = \"random\" under [split]");
}

}  // namespace

ImportConfig load_import_config(const std::filesystem::path& toml_path) {
  const toml::table file = config::parse_toml(toml_path);
  const std::vector<std::string> sections{"source",  "columns",    "timestamp", "items",
                                          "vectors", "categories", "clean",     "split"};
  for (const auto& [key, node] : file) {
    const std::string name(key.str());
    if (std::ranges::find(sections, name) != sections.end()) continue;
    throw UsageError(fmt::format("{}no section [{}]", location(toml_path, node), text::shown(name)),
                     fmt::format("did you mean [{}]?", text::nearest(name, sections)));
  }
  ImportConfig config;
  read_source({toml_path, file, "source"}, config.source);
  read_columns({toml_path, file, "columns"}, config.source, config.columns);
  read_timestamp({toml_path, file, "timestamp"}, config.timestamp);
  read_items({toml_path, file, "items"}, config.items);
  read_vectors_section({toml_path, file, "vectors"}, config.vectors);
  read_categories({toml_path, file, "categories"}, toml_path, config.categories);
  read_clean({toml_path, file, "clean"}, config.clean);
  read_split({toml_path, file, "split"}, config.source.csv.header, config.split);
  check_whole(toml_path, config);
  return config;
}

}  // namespace sheaf::data
