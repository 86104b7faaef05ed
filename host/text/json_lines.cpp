#include "host/text/json_lines.hpp"

#include <nlohmann/json.hpp>
#include <unordered_set>
#include <utility>

namespace sheaf::text {
namespace {

using nlohmann::json;

class ObjectReader : public nlohmann::json_sax<json> {
 public:
  explicit ObjectReader(const std::function<void(const std::string&, std::string, bool)>& take) : take_(take) {}

  bool null() override { return value({}); }
  bool boolean(bool is_true) override { return value(is_true ? "true" : "false"); }
  bool number_integer(number_integer_t number) override { return value(std::to_string(number)); }
  bool number_unsigned(number_unsigned_t number) override { return value(std::to_string(number)); }
  bool number_float(number_float_t, const string_t& written) override { return value(std::string(written)); }
  bool string(string_t& text) override { return value(std::move(text)); }
  bool binary(binary_t&) override { return false; }
  bool key(string_t& name) override {
    if (depth_ != 1) return true;
    key_ = std::move(name);
    return key_.find('\0') == std::string::npos && seen_.insert(key_).second;
  }
  bool start_object(size_t) override { return open(); }
  bool end_object() override { return close(); }
  bool start_array(size_t) override { return depth_ > 0 && open(); }
  bool end_array() override { return close(); }
  bool parse_error(size_t, const std::string&, const nlohmann::detail::exception&) override { return false; }

 private:
  bool value(std::string&& text) {
    if (depth_ != 1) return depth_ > 1;  // a bare value is no object
    if (text.find('\0') != std::string::npos) return false;
    take_(key_, std::move(text), false);
    return true;
  }
  bool open() {
    ++depth_;
    return true;
  }
  bool close() {
    if (--depth_ == 1) take_(key_, {}, true);
    return true;
  }

  const std::function<void(const std::string&, std::string, bool)>& take_;
  int64_t depth_ = 0;
  std::string key_;
  std::unordered_set<std::string> seen_;
};

}  // namespace

bool read_json_object(std::string_view line,
                      const std::function<void(const std::string& key, std::string text, bool is_nested)>& take) {
  ObjectReader reader(take);
  return json::sax_parse(line.begin(), line.end(), &reader);
}

}  // namespace sheaf::text
