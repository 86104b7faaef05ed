#pragma once
/// Ids of a file of one run, such as a stock list, that the data set does not have. A shop's lists always name some:
/// the import dropped them, or they are new. run.unknown_ids says what becomes of them.

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "host/data/prepared.hpp"

namespace sheaf::data {

enum class UnknownPolicy { skip, refuse };
/// Of "skip" or "refuse".
UnknownPolicy unknown_policy(std::string_view name);

/// Looks up the users and items of one file, and keeps count of those that it does not find.
class IdLookup {
 public:
  /// `prepared` outlives it.
  IdLookup(std::filesystem::path file, const Prepared& prepared, UnknownPolicy policy)
      : file_(std::move(file)), prepared_(prepared), policy_(policy) {}

  const Prepared& prepared() const { return prepared_; }
  /// The code, or -1 for an unknown one that is left out. DataError with file, line and the nearest known id where they
  /// are refused.
  int32_t user(std::string_view id, int64_t line);
  int32_t item(std::string_view id, int64_t line);
  /// DataError if the file names users or items, and none of them is known.
  void require_any() const;
  /// "stock.csv: 12 of 80 items are not in shop and are left out: 'a' (line 3), …"; one sentence for users and items
  /// each; empty if all are known.
  std::string note() const;

 private:
  struct Kind {
    explicit Kind(const char* kind) : what(kind) {}
    const char* what;
    int64_t known = 0, n_unknown = 0;
    std::vector<std::string> unknown;  // in the file's order, those that are shown
  };
  int32_t look_up(const StringTable& ids, std::string_view id, int64_t line, Kind& kind);

  std::filesystem::path file_;
  const Prepared& prepared_;
  UnknownPolicy policy_;
  Kind users_{"users"}, items_{"items"};
};

}  // namespace sheaf::data
