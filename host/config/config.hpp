#pragma once
/// The program's settings. A setting is a field here, with its default, and one line of the registry in config.cpp with
/// its range and meaning. A model's settings come from the model. host/data/import.hpp has the import configurations.

#include <cstdint>
#include <filesystem>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "engine/data/settings.hpp"

namespace sheaf::config {

/// A number whose setting is "auto".
inline constexpr double kAuto = std::numeric_limits<double>::quiet_NaN();

struct Config {
  struct Model {
    std::string preference = "fusion";
    double recency_days = 250.0;
    std::string refit = "none";
  } model;
  /// Settings of the models, which describe themselves (engine/models/registry.hpp), by "section.name": those that
  /// differ from the default.
  SettingValues model_settings;
  struct Associate {
    std::string by = "cosine";
    int64_t k = 32;
    double min_score = 0.0;
    std::string scale = "dim";
    int64_t min_count = 2;
    bool symmetric = false;
    int64_t layers = 3;
    std::string category_rule = "any";
    std::vector<std::string> category_pairs;
    std::vector<std::string> exclude_pairs;
    int64_t piece_mib = 0;
  } associate;
  struct Search {
    int64_t candidates = 64;
    int64_t min_size = 2;
    int64_t max_size = 4;
    double budget = std::numeric_limits<double>::infinity();  // currency of the data
    int64_t min_categories = 0;                               // 0: three, or as many as the data and max_size allow
    std::vector<std::string> must_have;                       // item ids
    std::vector<std::string> forbidden;                       // item ids
    std::vector<std::string> categories;                      // names; empty: all
    int64_t local_searches = 8;
    int64_t islands = 1, migrate_every = 2;
    int64_t rounds = 4;
    int64_t iterations = 16;
    int64_t bundles = 20;
    int64_t anchors = 200;
    std::string anchor_by = "wanted";
    int64_t anchor_days = 28;
    int64_t max_overlap = 1;
    int64_t top_items = 10;
    int64_t max_uses = 0;             // 0: any
    std::string item_facts;           // a file; empty: none
    std::string warm_start;           // a file or folder; empty: none
    std::string objective = "joint";  // terms with weights
    std::string history = "all";      // whose baskets chances are learned from
    std::string substitutes = "avoid";
    double weight_association = 1.0;
    double weight_preference = 0.0;
    double weight_revenue = 0.0;
  } search;
  struct Complete {
    double shrinkage = 0.0;  // 0: the usual one of bundles or of baskets
    double text_weight = 0.3;
    double user_weight = 0.4;
  } complete;
  struct Discount {
    double min = 0.05;
    double max = 0.20;
    std::string by = "lift";
    int64_t levels = 4;
    double own_response = kAuto, cross_response = kAuto;
    double uplift = kAuto;
    double cost_share = 0.7;
    double margin_floor = 0.0;
  } discount;
  struct Evaluate {
    std::vector<int64_t> k{5, 10, 20};
    std::vector<std::string> baselines{"popularity", "item-knn", "personal-count"};
    bool mask_seen = false;
    int64_t knn_neighbours = 20;
    double knn_shrink = 100.0;
    double decay_days = 0.0;  // 0: chosen on the validation period
    int64_t resamples = 1000;
  } evaluate;
  struct Run {
    int64_t threads = 0;  // 0: all cores
    int64_t seed = 1;
    std::string device = "auto";
    std::string unknown_ids = "skip";
    bool guard_formulas = true;
  } run;

  /// Takes over the settings of a TOML file. UsageError with file and line for an unknown key, a wrong type or a value
  /// out of range.
  void load(const std::filesystem::path& toml_path);
  /// "section.key=value". Strings need no quotes; lists are "[...]" or separated by commas.
  void set(std::string_view assignment);
  /// Relations between settings (min <= max and the like); call when all is set.
  void check() const;
  /// All settings as TOML with their help. Those that differ from the default say so. Reading it back gives the same
  /// settings.
  std::string show() const;
};

/// Defaults, then the file (if the path is not empty), then the assignments in order, then check().
Config load_config(const std::filesystem::path& toml_path, const std::vector<std::string>& assignments = {});

}  // namespace sheaf::config
