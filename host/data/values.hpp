#pragma once
/// Values that are read as something else than they say: markers of missing values, and blanks around a value. Part of
/// the importer.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "host/data/import.hpp"

namespace sheaf::data {

/// Without blanks at either end: white space of ASCII, no-break spaces, ideographic spaces, byte order marks.
std::string_view without_blanks(std::string_view text);

/// What was found in one column. A row is counted from 0.
struct ColumnValues {
  struct Count {
    int64_t values = 0, first_row = -1;
    void add(int64_t row) {
      if (values++ == 0) first_row = row;
    }
  };
  std::vector<Count> missing;  // [n markers + 1] the last: nothing but blanks
  Count padded;                // blanks at an end
};

/// Reads values as clean.missing and clean.trim say.
class ValueReader {
 public:
  explicit ValueReader(const ImportConfig::Clean& clean);

  /// Empty for a missing value. Blanks around a marker do not matter.
  std::string_view read(std::string_view value, int64_t row, ColumnValues& found) const;
  void read(std::vector<std::string_view>& values, ColumnValues& found) const;
  ColumnValues nothing_found() const { return {std::vector<ColumnValues::Count>(markers_.size() + 1), {}}; }
  /// Adds what was found to the report. `place` is where the first value of a count stands.
  template <class Place>
  void report(const std::string& column, const ColumnValues& found, Place&& place, ImportReport& report) const {
    const auto add = [&](const ColumnValues::Count& count, ImportReport::ValueKind kind, const std::string& marker) {
      if (count.values > 0) report.values.push_back({kind, column, marker, count.values, place(count.first_row)});
    };
    for (size_t m = 0; m < markers_.size(); ++m) add(found.missing[m], ImportReport::ValueKind::missing, markers_[m]);
    add(found.missing.back(), ImportReport::ValueKind::missing, "");
    add(found.padded, trim_ ? ImportReport::ValueKind::trimmed : ImportReport::ValueKind::padded, "");
  }

 private:
  std::vector<std::string> markers_;
  size_t longest_ = 0;  // of the markers
  bool trim_;
};

}  // namespace sheaf::data
