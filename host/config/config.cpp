#include "host/config/config.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "engine/data/nearest.hpp"
#include "engine/data/shown.hpp"
#include "engine/models/registry.hpp"
#include "host/config/toml.hpp"
#include "host/text/csv.hpp"
#include "kernels/core/error.hpp"

namespace sheaf::config {
namespace {

/// One setting: where it is, what is valid, and how to read and print it.
struct Key {
  std::string section, name, valid, help;
  bool is_text, is_list;
  std::function<bool(Config&, const toml::node&)> read;  // false: wrong type or out of range
  std::function<std::string(const Config&)> print;       // as TOML
  std::vector<std::string> choices = {};                 // of a text that is one of few
  std::string full_name() const { return section + "." + name; }
};

std::string toml_string(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out.push_back('\\');
    if (static_cast<unsigned char>(c) < 0x20) {
      out += fmt::format("\\u{:04x}", static_cast<unsigned>(static_cast<unsigned char>(c)));
    } else {
      out.push_back(c);
    }
  }
  return out + "\"";
}

std::string printed(const std::string& value) { return toml_string(value); }
std::string printed(bool value) { return value ? "true" : "false"; }
std::string printed(int64_t value) { return fmt::format("{}", value); }
std::string printed(double value) {
  if (std::isnan(value)) return toml_string("auto");
  const std::string text = fmt::format("{}", value);
  return text.find_first_of(".einf") == std::string::npos ? text + ".0" : text;
}
template <class T>
std::string printed(const std::vector<T>& values) {
  std::vector<std::string> parts;
  for (const T& value : values) parts.push_back(printed(value));
  return fmt::format("[{}]", fmt::join(parts, ", "));
}

/// Reads all elements of an array by `read_one`; a single value stands for a list of one.
template <class T, class ReadOne>
bool read_list(const toml::node& node, std::vector<T>& values, ReadOne&& read_one) {
  std::vector<T> read;
  const auto add = [&](const toml::node& element) { return read_one(element, read.emplace_back()); };
  const toml::array* array = node.as_array();
  const bool good = array == nullptr ? add(node) : std::all_of(array->begin(), array->end(), add);
  if (good) values = std::move(read);
  return good;
}

bool read_integer(const toml::node& node, int64_t low, int64_t high, int64_t& value) {
  const auto read = node.value_exact<int64_t>();
  if (!read || *read < low || *read > high) return false;
  value = *read;
  return true;
}

bool read_choice(const toml::node& node, const std::vector<std::string>& choices, std::string& value) {
  const auto read = node.value_exact<std::string>();
  if (!read || std::ranges::find(choices, *read) == choices.end()) return false;
  value = *read;
  return true;
}

/// Ids are strings, but a file may say them as integers.
bool read_text_or_integer(const toml::node& node, std::string& value) {
  if (const auto integer = node.value_exact<int64_t>()) {
    value = fmt::format("{}", *integer);
    return true;
  }
  const auto read = node.value_exact<std::string>();
  if (read) value = *read;
  return read.has_value();
}

std::string one_of(const std::vector<std::string>& choices) {
  std::vector<std::string> parts;
  for (const auto& choice : choices) parts.push_back(toml_string(choice));
  return fmt::format("one of {}", fmt::join(parts, ", "));
}

std::string integer_range(int64_t low, int64_t high) {
  return high == std::numeric_limits<int64_t>::max() ? fmt::format("an integer of at least {}", low)
                                                     : fmt::format("an integer from {} to {}", low, high);
}

std::string number_range(double low, double high) {
  return std::isinf(high) ? fmt::format("a number of at least {}", low)
                          : fmt::format("a number from {} to {}", low, high);
}

bool read_number(const toml::node& node, double low, double high, double& value) {
  const auto read = number_of(node);
  if (!read || !(*read >= low && *read <= high)) return false;
  value = *read;
  return true;
}

constexpr size_t kShownValue = 80;  // characters of a value in a message

template <class T>
constexpr bool kIsList = false;
template <class T>
constexpr bool kIsList<std::vector<T>> = true;

/// Makes the keys of one section; each call is one line of the registry.
template <class Section>
class Keys {
 public:
  Keys(std::vector<Key>& keys, std::string section, Section Config::*where)
      : keys_(keys), section_(std::move(section)), where_(where) {}

  void integer(const char* name, int64_t Section::*field, int64_t low, int64_t high, const char* help) {
    add(name, field, integer_range(low, high), help, false,
        [low, high](const toml::node& node, int64_t& value) { return read_integer(node, low, high, value); });
  }
  void number(const char* name, double Section::*field, double low, double high, const char* help) {
    add(name, field, number_range(low, high), help, false,
        [low, high](const toml::node& node, double& value) { return read_number(node, low, high, value); });
  }
  /// A number, or "auto" for kAuto. --set gives both as text.
  void number_or_auto(const char* name, double Section::*field, double low, double high, const char* help) {
    add(name, field, fmt::format("\"auto\" or a number from {} to {}", low, high), help, true,
        [low, high](const toml::node& node, double& value) {
          double number = number_of(node).value_or(kAuto);
          if (const auto text = node.value_exact<std::string>(); text && *text != "auto") {
            if (text::parse_number(*text, number) != text::NumberStatus::ok) return false;
          } else if (!text && !node.is_number()) {
            return false;
          }
          if (number < low || number > high) return false;  // neither holds for kAuto
          value = number;
          return true;
        });
  }
  void boolean(const char* name, bool Section::*field, const char* help) {
    add(name, field, "true or false", help, false, [](const toml::node& node, bool& value) {
      const auto read = node.value_exact<bool>();
      if (read) value = *read;
      return read.has_value();
    });
  }
  void choice(const char* name, std::string Section::*field, std::vector<std::string> choices, const char* help) {
    add(name, field, one_of(choices), help, true,
        [choices](const toml::node& node, std::string& value) { return read_choice(node, choices, value); });
    keys_.back().choices = std::move(choices);
  }
  void text(const char* name, std::string Section::*field, const char* help) {
    add(name, field, "a string", help, true, read_text_or_integer);
  }
  void integers(const char* name, std::vector<int64_t> Section::*field, int64_t low, int64_t high, const char* help) {
    add(name, field, "a list, each " + integer_range(low, high), help, false,
        [low, high](const toml::node& node, std::vector<int64_t>& values) {
          return read_list(node, values, [&](const toml::node& element, int64_t& value) {
            return read_integer(element, low, high, value);
          });
        });
  }
  void choices(const char* name, std::vector<std::string> Section::*field, std::vector<std::string> choices,
               const char* help) {
    add(name, field, "a list, each " + one_of(choices), help, true,
        [choices](const toml::node& node, std::vector<std::string>& values) {
          return read_list(node, values, [&](const toml::node& element, std::string& value) {
            return read_choice(element, choices, value);
          });
        });
  }
  void ids(const char* name, std::vector<std::string> Section::*field, const char* help) {
    add(name, field, "a list of ids", help, true, [](const toml::node& node, std::vector<std::string>& values) {
      if (!read_list(node, values, read_text_or_integer)) return false;
      std::vector<std::string> once;  // an id that is named twice is named once
      for (std::string& value : values) {
        if (std::ranges::find(once, value) == once.end()) once.push_back(std::move(value));
      }
      values = std::move(once);
      return true;
    });
  }

 private:
  template <class T, class Read>
  void add(const char* name, T Section::*field, std::string valid, const char* help, bool is_text, Read read) {
    const auto where = where_;
    keys_.push_back(
        {section_, name, std::move(valid), help, is_text, kIsList<T>,
         [where, field, read](Config& config, const toml::node& node) { return read(node, (config.*where).*field); },
         [where, field](const Config& config) { return printed((config.*where).*field); }});
  }

  std::vector<Key>& keys_;
  std::string section_;
  Section Config::*where_;
};

constexpr int64_t kAny = std::numeric_limits<int64_t>::max();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// What the models are, for the help of model.preference.
const char* preference_help() {
  static const std::string help = [] {
    std::string text = "what a user wants";
    for (const auto& model : all_recommenders()) text += fmt::format("; {}: {}", model->name(), model->about());
    return text;
  }();
  return help.c_str();
}

std::string valid_text(const Setting& setting) {
  if (!setting.choices.empty()) return one_of(setting.choices);
  if (std::holds_alternative<std::string*>(setting.value)) return "a string";
  if (std::holds_alternative<bool*>(setting.value)) return "true or false";
  if (std::holds_alternative<int64_t*>(setting.value))
    return integer_range(setting.least_integer, setting.most_integer);
  return number_range(setting.low, setting.high);
}

bool read_setting(const toml::node& node, const Setting& setting, SettingValue& value) {
  if (!setting.choices.empty()) return read_choice(node, setting.choices, value.emplace<std::string>());
  if (std::holds_alternative<std::string*>(setting.value)) {
    return read_text_or_integer(node, value.emplace<std::string>());
  }
  if (std::holds_alternative<bool*>(setting.value)) {
    const auto read = node.value_exact<bool>();
    if (read) value = *read;
    return read.has_value();
  }
  if (std::holds_alternative<int64_t*>(setting.value)) {
    return read_integer(node, setting.least_integer, setting.most_integer, value.emplace<int64_t>());
  }
  return read_number(node, setting.low, setting.high, value.emplace<double>());
}

/// A setting of a model: kept in Config::model_settings.
Key model_key(const std::string& section, const Setting& setting) {
  const std::string full = section + "." + setting.name;
  const SettingValue usual = setting.get();
  return {section,
          setting.name,
          valid_text(setting),
          setting.help,
          std::holds_alternative<std::string*>(setting.value),
          false,
          [full, setting](Config& config, const toml::node& node) {
            SettingValue value;
            if (!read_setting(node, setting, value)) return false;
            config.model_settings[full] = value;
            return true;
          },
          [full, usual](const Config& config) {
            const auto at = config.model_settings.find(full);
            return std::visit([](const auto& value) { return printed(value); },
                              at == config.model_settings.end() ? usual : at->second);
          },
          setting.choices};
}

std::vector<Key> make_registry() {
  std::vector<Key> all;
  // clang-format off: one line a setting
  Keys model(all, "model", &Config::model);
  using M = Config::Model;
  model.choice("preference", &M::preference, model_names(), preference_help());
  model.number("recency_days", &M::recency_days, 0.0, 1e6,
               "a purchase weighs exp(-age / this) against the last of train; 0: all alike");
  model.choice("refit", &M::refit, {"none", "validation", "all"},
               "train: what was chosen on the validation period is learned again with that period as training data, or "
               "with all rows; a model of all rows cannot be evaluated");
  static const std::vector<std::unique_ptr<Recommender>> models = all_recommenders();
  for (const SettingGroup& group : model_settings(models)) {
    for (const Setting& setting : group.settings) all.push_back(model_key(group.section, setting));
  }

  Keys associate(all, "associate", &Config::associate);
  using A = Config::Associate;
  associate.choice(
      "by", &A::by,
      {"cosine", "gcn", "support", "confidence", "lift", "leverage", "conviction", "jaccard", "count-cosine"},
      "what makes two items belong together: learned vectors (gcn: spread over the purchases), or counts of common "
      "baskets");
  associate.integer("k", &A::k, 1, 256, "partners kept for an item");
  associate.number("min_score", &A::min_score, -1e9, 1e9, "partners below this are left out");
  associate.choice("scale", &A::scale, {"dim", "none"}, "divide learned scores by the root of the width, or not");
  associate.integer("min_count", &A::min_count, 1, kAny, "common baskets that a pair needs; of counted measures");
  associate.boolean("symmetric", &A::symmetric, "list a pair both ways if either lists it, with the larger score");
  associate.integer("layers", &A::layers, 1, 16, "gcn: steps over the graph of purchases");
  associate.choice("category_rule", &A::category_rule, {"any", "same", "different", "table"},
                   "which categories may meet in a pair; an item without one meets none but under any");
  associate.ids("category_pairs", &A::category_pairs, "for table: 'category > partner's category', each pair one way");
  associate.ids("exclude_pairs", &A::exclude_pairs, "'item id > partner's id' that is not listed, each pair one way");
  associate.integer("piece_mib", &A::piece_mib, 0, kAny,
                    "device memory in MiB for learned vectors, which pass in pieces; 0: all at once");

  Keys search(all, "search", &Config::search);
  using S = Config::Search;
  search.integer("candidates", &S::candidates, 2, 256, "items that a search may choose from");
  search.integer("min_size", &S::min_size, 1, 16, "items in a bundle, at least");
  search.integer("max_size", &S::max_size, 1, 16, "items in a bundle, at most");
  search.number("budget", &S::budget, 0.0, kInfinity, "price of a bundle, at most, in the currency of the data");
  search.integer("min_categories", &S::min_categories, 0, 16,
                 "different categories in a bundle, at least; 0: three, or as many as the data and max_size allow");
  search.ids("must_have", &S::must_have, "items that are in every bundle");
  search.ids("forbidden", &S::forbidden, "items that are in no bundle");
  search.ids("categories", &S::categories, "names of the categories that bundles are made of; empty: all");
  search.integer("local_searches", &S::local_searches, 1, 32, "bundles of a search that are improved side by side");
  search.integer("islands", &S::islands, 1, 65'536,
                 "populations of local searches that work on every problem and exchange their best bundles");
  search.integer("migrate_every", &S::migrate_every, 0, 100'000, "rounds between two such exchanges; 0: never");
  search.integer("rounds", &S::rounds, 1, 100'000,
                 "rounds of a search; between them the local searches share their best bundles");
  search.integer("iterations", &S::iterations, 1, 100'000, "changes that a local search makes to a bundle in a round");
  search.integer("bundles", &S::bundles, 1, 1'000'000, "bundles in the result");
  search.integer("anchors", &S::anchors, 1, kAny, "items around which searches start");
  search.choice(
      "anchor_by", &S::anchor_by, {"wanted", "trending", "new"},
      "what makes an item an anchor: users want it most, it sells more than before, or it was first sold of late");
  search.integer("anchor_days", &S::anchor_days, 1, 100'000,
                 "trending: the last days of train against as many before; new: first sold in the last days of train");
  search.integer("max_overlap", &S::max_overlap, 0, 16, "items that two bundles of the result may share");
  search.integer("max_uses", &S::max_uses, 0, kAny, "bundles of the result that an item may be in; 0: any number");
  search.text(
      "item_facts", &S::item_facts,
      "a CSV file with the columns item and stock, cost or both: units that a run may sell, and what one costs");
  search.text("warm_start", &S::warm_start,
              "an earlier result whose bundles the search begins with: its folder, bundles.jsonl or users.jsonl; for "
              "sheaf solve what --json printed");
  search.integer("top_items", &S::top_items, 1, 256, "score: items listed for each user");
  search.text("objective", &S::objective,
              "what a bundle is worth: joint (coming baskets that hold two of its items), revenue, margin, discovery, "
              "clearance, affinity, or a sum such as 'revenue + 0.5 discovery'");
  search.choice(
      "history", &S::history, {"all", "train"},
      "the baskets that chances and baselines are made from: all but those of the test period, or those of train "
      "alone");
  search.choice("substitutes", &S::substitutes, {"avoid", "forbid", "allow"},
                "products that replace each other: in one bundle only where nothing else fits (joint objective's "
                "terms), never, or "
                "like any other pair");
  search.number("weight_association", &S::weight_association, 0.0, 1e9,
                "objective affinity: weight of P(i) A(i, j) in a bundle's value F");
  search.number("weight_preference", &S::weight_preference, 0.0, 1e9, "objective affinity: weight of P(i) alone");
  search.number("weight_revenue", &S::weight_revenue, 0.0, 1e9,
                "objective affinity: weight of P(i) times the price of i");

  Keys complete(all, "complete", &Config::complete);
  using L = Config::Complete;
  complete.number("shrinkage", &L::shrinkage, 0.0, 1e9,
                  "bundles that an item needs before they count more than its words; 0: 0.25 for bundles that people "
                  "made, 10 for baskets");
  complete.number("text_weight", &L::text_weight, 0.0, 1e9, "bundles that two items of equal words are worth");
  complete.number("user_weight", &L::user_weight, 0.0, 1e9, "weight of the user's chance beside the items' affinity");

  Keys discount(all, "discount", &Config::discount);
  using D = Config::Discount;
  discount.number("min", &D::min, 0.0, 1.0, "smallest discount offered on a bundle, as a share of its price");
  discount.number("max", &D::max, 0.0, 1.0, "largest discount");
  discount.choice("by", &D::by, {"lift", "search"},
                  "what decides it: how seldom the items are bought together, or the search, with the bundle");
  discount.integer("levels", &D::levels, 1, 100, "search: discounts from min to max that it may choose from");
  discount.number_or_auto(
      "own_response", &D::own_response, -1e3, 0.0,
      "elasticity of purchases to an item's own price; auto: estimated, or assumed where the data cannot say");
  discount.number_or_auto("cross_response", &D::cross_response, 0.0, 1e3,
                          "elasticity of purchases to the prices of other items of the category; auto: the same");
  discount.number_or_auto("uplift", &D::uplift, 0.0, 1e3,
                          "search: chances grow by this times the discount, up to certainty; auto: by -own_response");
  discount.number("cost_share", &D::cost_share, 0.0, 1e3,
                  "cost of an item as a share of its price, where search.item_facts has none");
  discount.number("margin_floor", &D::margin_floor, 0.0, 1.0,
                  "search: what a bundle's discounted price leaves after costs, at least, as a share of that price");

  Keys evaluate(all, "evaluate", &Config::evaluate);
  using E = Config::Evaluate;
  evaluate.integers("k", &E::k, 1, 256, "lengths of the ranked lists");
  evaluate.choices("baselines", &E::baselines, {"popularity", "item-knn", "personal-count"}, "what to compare with");
  evaluate.boolean("mask_seen", &E::mask_seen, "leave out of the lists what the user had in training");
  evaluate.integer("knn_neighbours", &E::knn_neighbours, 1, 256, "neighbours of an item in the item-knn baseline");
  evaluate.number("knn_shrink", &E::knn_shrink, 0.0, 1e9,
                  "damps the similarity of rare items in the item-knn baseline");
  evaluate.number("decay_days", &E::decay_days, 0.0, 1e6,
                  "bundles: a basket weighs exp(-age / this) in the baseline of decayed counts; 0: the best of "
                  "five on the validation period");
  evaluate.integer("resamples", &E::resamples, 0, 1'000'000, "bundles: resamples of the users for standard errors");

  Keys run(all, "run", &Config::run);
  using R = Config::Run;
  run.integer("threads", &R::threads, 0, 4096, "CPU threads; 0: all cores");
  run.integer("seed", &R::seed, 0, kAny, "of all random numbers");
  run.text("device", &R::device, "auto, cpu, cuda or cuda:N");
  run.choice("unknown_ids", &R::unknown_ids, {"skip", "refuse"},
             "users and items of a list (--users, search.item_facts, search.warm_start, bundles to complete) that the "
             "data does not have: leave them out and say so, or end with an error");
  run.boolean("guard_formulas", &R::guard_formulas,
              "CSV files: a text that a spreadsheet would run (it begins with = + - @) gets a ' before it");
  // clang-format on
  return all;
}

const std::vector<Key>& registry() {
  static const std::vector<Key> keys = make_registry();
  return keys;
}

const Key& find_key(const std::string& section, const std::string& name, const std::string& where) {
  const auto found =
      std::ranges::find_if(registry(), [&](const Key& key) { return key.section == section && key.name == name; });
  if (found != registry().end()) return *found;
  std::vector<std::string> names;
  for (const Key& key : registry()) names.push_back(key.full_name());
  const std::string asked = section + "." + name, shown = text::shown(asked);
  if (const std::string now = renamed(section); !now.empty()) {
    throw UsageError(fmt::format("{}no setting '{}'", where, shown), fmt::format("the section is called {} now", now));
  }
  throw UsageError(fmt::format("{}no setting '{}'", where, shown),
                   fmt::format("did you mean '{}'?", text::nearest(asked, names)));
}

void assign(Config& config, const Key& key, const toml::node& node, const std::string& where, const std::string& text) {
  if (key.read(config, node)) {
    // That a model was named, be it the usual one.
    if (key.full_name() == "model.preference") config.model_settings["model.preference"] = config.model.preference;
    return;
  }
  const std::string what =
      fmt::format("{}{} = {}: expected {}", where, key.full_name(), text::shown(text, kShownValue), key.valid);
  if (const std::string now = renamed(text); !now.empty() && std::ranges::find(key.choices, now) != key.choices.end()) {
    throw UsageError(what, fmt::format("it is called {} now", now));
  }
  const std::string near =
      key.choices.empty() ? std::string() : fmt::format("did you mean '{}'? ", text::nearest(text, key.choices));
  throw UsageError(what, fmt::format("{}{}: {}", near, key.full_name(), key.help));
}

std::string as_text(const toml::node& node) {
  std::ostringstream out;
  node.visit([&](const auto& value) { out << value; });
  return out.str();
}

std::string trimmed(std::string_view text) { return std::string(text::trim(text)); }

/// The right-hand side of --set as TOML: strings may go without quotes, lists without brackets.
toml::table parse_value(const Key& key, std::string_view text) {
  const auto begins = [&](const char* any) {
    return !text.empty() && std::string_view(any).find(text[0]) != text.npos;
  };
  std::string value(text);
  if (key.is_list && !begins("[")) {
    std::vector<std::string> parts;
    for (size_t at = 0; at < text.size();) {
      const size_t end = std::min(text.find(',', at), text.size());
      const std::string part = trimmed(text.substr(at, end - at));
      parts.push_back(key.is_text ? toml_string(part) : part);
      at = end + 1;
    }
    value = fmt::format("[{}]", fmt::join(parts, ", "));
  } else if (key.is_text && !key.is_list && !begins("\"'")) {
    value = toml_string(value);
  }
  try {
    return parse_toml_text("value = " + value, "--set");
  } catch (const UsageError&) {
    throw UsageError(
        fmt::format("--set {} = {}: expected {}", key.full_name(), text::shown(text, kShownValue), key.valid),
        fmt::format("{}: {}", key.full_name(), key.help));
  }
}

}  // namespace

void Config::load(const std::filesystem::path& toml_path) {
  const toml::table file = parse_toml(toml_path);
  for (const auto& [section, node] : file) {
    const toml::table* table = node.as_table();
    const std::string section_name(section.str());
    if (table == nullptr) {
      throw UsageError(
          fmt::format("{}'{}' stands outside a section", location(toml_path, node), text::shown(section_name)),
          "write it below a section like [model]");
    }
    if (table->empty()) continue;
    for (const auto& [name, value] : *table) {
      const std::string where = location(toml_path, value);
      assign(*this, find_key(section_name, std::string(name.str()), where), value, where, as_text(value));
    }
  }
}

void Config::set(std::string_view assignment) {
  const size_t equals = assignment.find('=');
  const size_t dot = assignment.substr(0, equals).find('.');
  if (equals == std::string_view::npos || dot == std::string_view::npos) {
    throw UsageError(fmt::format("--set {}: expected section.key=value", text::shown(assignment, kShownValue)),
                     "for example --set model.dim=32");
  }
  const Key& key =
      find_key(trimmed(assignment.substr(0, dot)), trimmed(assignment.substr(dot + 1, equals - dot - 1)), "--set: ");
  const std::string text = trimmed(assignment.substr(equals + 1));
  const toml::table table = parse_value(key, text);
  assign(*this, key, *table.get("value"), "--set ", text);
}

void Config::check() const {
  const auto require = [](bool good, const std::string& message) {
    if (!good) throw UsageError(message, "change one of the two settings");
  };
  require(search.min_size <= search.max_size,
          fmt::format("search.min_size = {} is above search.max_size = {}", search.min_size, search.max_size));
  require(search.max_size <= search.candidates,
          fmt::format("search.max_size = {} is above search.candidates = {}", search.max_size, search.candidates));
  require(
      search.min_categories <= search.max_size,
      fmt::format("search.min_categories = {} is above search.max_size = {}", search.min_categories, search.max_size));
  require(static_cast<int64_t>(search.must_have.size()) <= search.max_size,
          fmt::format("search.must_have lists {} items, above search.max_size = {}", search.must_have.size(),
                      search.max_size));
  for (const std::string& id : search.must_have) {
    require(std::ranges::find(search.forbidden, id) == search.forbidden.end(),
            fmt::format("item '{}' is in search.must_have and in search.forbidden", id));
  }
  require(discount.min <= discount.max,
          fmt::format("discount.min = {} is above discount.max = {}", discount.min, discount.max));
  if (evaluate.k.empty()) throw UsageError("evaluate.k is empty", "name at least one length");
}

std::string Config::show() const {
  const Config defaults;
  std::string out, section;
  for (const Key& key : registry()) {
    if (key.section != section) {
      out += fmt::format("{}[{}]\n", section.empty() ? "" : "\n", key.section);
      section = key.section;
    }
    const std::string value = key.print(*this), usual = key.print(defaults);
    out += fmt::format("# {}: {}\n{} = {}", key.help, key.valid, key.name, value);
    out += value == usual ? "\n" : fmt::format("  # changed; default {}\n", usual);
  }
  return out;
}

Config load_config(const std::filesystem::path& toml_path, const std::vector<std::string>& assignments) {
  Config config;
  if (!toml_path.empty()) config.load(toml_path);
  for (const std::string& assignment : assignments) config.set(assignment);
  config.check();
  return config;
}

}  // namespace sheaf::config
