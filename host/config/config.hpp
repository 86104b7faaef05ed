#pragma once
/// The program's settings. A setting is a field here, with its default, and one line of the registry in config.cpp with its range and
/// meaning. Import configurations are another thing: host/data/import.hpp.

#include <cstdint>
#include <filesystem>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

namespace sheaf::config {

struct Config {
  struct Model {
    std::string preference = "factorization";
    int64_t dim = 64;
    std::string loss = "bpr";
    int64_t epochs = 40;
    int64_t batch = 2048;
    int64_t negatives = 4;
    double learning_rate = 0.003;
    double weight_decay = 0.0;
    double dropout = 0.2;
    int64_t patience = 5;
    std::string negative_sampling = "uniform";
    bool item_features = true;
    double positive_weight = 1.0;
  } model;
  struct Associate {
    std::string by = "cosine";
    int64_t k = 32;
    double min_score = 0.0;
    std::string scale = "dim";
    int64_t min_count = 2;
  } associate;
  struct Search {
    int64_t candidates = 64;
    int64_t min_size = 2;
    int64_t max_size = 4;
    double budget = std::numeric_limits<double>::infinity();  // currency of the data
    int64_t min_categories = 2;
    std::vector<std::string> must_have;  // item ids
    std::vector<std::string> forbidden;  // item ids
    int64_t population = 64;
    int64_t generations = 60;
    double mutation_rate = 0.3;
    int64_t elite = 4;
    int64_t tournament = 3;
    int64_t bundles = 20;
    int64_t anchors = 200;
    int64_t max_overlap = 1;
    double weight_preference = 0.1;
    double weight_revenue = 0.0;
  } search;
  struct Discount {
    double min = 0.05;
    double max = 0.20;
  } discount;
  struct Evaluate {
    std::vector<int64_t> k{5, 10, 20};
    std::vector<std::string> baselines{"popularity", "item-knn"};
    bool mask_seen = true;
    int64_t knn_neighbours = 100;
  } evaluate;
  struct Run {
    int64_t threads = 0;  // 0: all cores
    int64_t seed = 1;
    std::string device = "auto";
  } run;

  /// Takes over what a TOML file says. UsageError with file and line for an unknown key, a wrong type or a value out of range.
  void load(const std::filesystem::path& toml_path);
  /// "section.key=value". Strings need no quotes; lists are "[...]" or separated by commas.
  void set(std::string_view assignment);
  /// Relations between settings (min <= max and the like); call when all is set.
  void check() const;
  /// All settings as TOML with their help; those that differ from the default say so. Reading it back gives the same settings.
  std::string show() const;
};

/// Defaults, then the file (if the path is not empty), then the assignments in order, then check().
Config load_config(const std::filesystem::path& toml_path, const std::vector<std::string>& assignments = {});

}  // namespace sheaf::config
