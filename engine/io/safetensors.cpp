#include "engine/io/safetensors.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string_view>
#include <tuple>
#include <utility>

#include "engine/data/shown.hpp"
#include "engine/io/file_io.hpp"
#include "kernels/core/error.hpp"

namespace sheaf::io {
namespace {

static_assert(std::endian::native == std::endian::little, "safetensors files are little-endian");

constexpr uint64_t kLengthBytes = 8;               // of the field that holds the header's length
constexpr uint64_t kMaxHeaderBytes = 100'000'000;  // the limit of the reference implementation
constexpr size_t kAlignment = 8;

struct TypeName {
  TensorType type;
  const char* name;
  size_t size;
};
constexpr TypeName kTypes[] = {{TensorType::f32, "F32", 4}, {TensorType::f64, "F64", 8}, {TensorType::i32, "I32", 4},
                               {TensorType::i64, "I64", 8}, {TensorType::u8, "U8", 1},   {TensorType::f16, "F16", 2}};

const TypeName& type_name(TensorType type) { return kTypes[static_cast<size_t>(type)]; }

/// Elements of a shape; -1 if a dimension is negative or the product overflows.
int64_t element_count(const std::vector<int64_t>& shape) {
  int64_t count = 1;
  for (const int64_t size : shape) {
    if (size < 0 || __builtin_mul_overflow(count, size, &count)) return -1;
  }
  return count;
}

[[noreturn]] void fail(const std::filesystem::path& path, const std::string& message) {
  throw DataError(fmt::format("{}: {}", path.string(), message),
                  "the file is damaged or not a safetensors file: make it again");
}

[[noreturn]] void fail(const std::filesystem::path& path, const std::string& tensor, const std::string& message) {
  fail(path, fmt::format("tensor '{}': {}", text::shown(tensor), message));
}

std::string shape_text(const std::vector<int64_t>& shape) {
  return text::shown(fmt::format("{}", fmt::join(shape, ", ")));
}

/// One entry of the header, checked by itself; offsets count from the end of the header.
struct HeaderEntry {
  TensorType type;
  std::vector<int64_t> shape;
  uint64_t begin, end;
};

HeaderEntry parse_entry(const std::filesystem::path& path, const std::string& name, const nlohmann::json& json) {
  const auto is_unsigned = [](const nlohmann::json& value) { return value.is_number_unsigned(); };
  if (!json.is_object() || !json.contains("dtype") || !json.contains("shape") || !json.contains("data_offsets") ||
      !json["dtype"].is_string() || !json["shape"].is_array() || !json["data_offsets"].is_array() ||
      json["data_offsets"].size() != 2 || !std::ranges::all_of(json["shape"], is_unsigned) ||
      !std::ranges::all_of(json["data_offsets"], is_unsigned)) {
    fail(path, name, "the header entry is not {dtype, shape, data_offsets}");
  }
  const auto dtype = json["dtype"].get<std::string>();
  const auto type = std::ranges::find_if(kTypes, [&](const TypeName& known) { return dtype == known.name; });
  if (type == std::end(kTypes))
    fail(path, name, fmt::format("dtype {}, expected F16, F32, F64, I32, I64 or U8", text::shown(dtype)));

  HeaderEntry entry{type->type, json["shape"].get<std::vector<int64_t>>(), json["data_offsets"][0].get<uint64_t>(),
                    json["data_offsets"][1].get<uint64_t>()};
  const int64_t count = element_count(entry.shape);
  int64_t expected = 0;
  if (count < 0 || __builtin_mul_overflow(count, static_cast<int64_t>(type->size), &expected)) {
    fail(path, name, fmt::format("a shape of [{}] is impossible", shape_text(entry.shape)));
  }
  if (entry.end < entry.begin || entry.end - entry.begin != static_cast<uint64_t>(expected)) {
    fail(path, name,
         fmt::format("data_offsets [{}, {}], expected {} bytes for {} [{}]", entry.begin, entry.end, expected, dtype,
                     shape_text(entry.shape)));
  }
  return entry;
}

/// The header, a JSON object, as the format wants it: it begins with '{', nothing but spaces follows it, and no object
/// has a key twice.
nlohmann::json parse_header(const std::filesystem::path& path, std::string_view text) {
  const size_t last = text.find_last_not_of(' ');
  if (!text.starts_with('{') || text[last] != '}' || text.find('\0') != std::string_view::npos) {
    fail(path, "the header is not a JSON object from its first byte on, with nothing but spaces after it");
  }
  std::vector<std::set<std::string>> open;  // the keys of the objects around
  std::optional<std::string> repeated;
  const auto watch = [&](int, nlohmann::json::parse_event_t event, nlohmann::json& value) {
    using Event = nlohmann::json::parse_event_t;
    if (event == Event::object_start) open.emplace_back();
    if (event == Event::object_end) open.pop_back();
    if (event == Event::key && !open.back().insert(value.get<std::string>()).second)
      repeated = value.get<std::string>();
    return true;
  };
  nlohmann::json header = nlohmann::json::parse(text, watch, /*allow_exceptions=*/false);
  if (!header.is_object()) fail(path, "the header is not a JSON object");
  if (repeated) fail(path, fmt::format("the header has the key '{}' twice", *repeated));
  const auto about = header.find("__metadata__");
  if (about != header.end() &&
      (!about->is_object() || !std::ranges::all_of(*about, [](const auto& value) { return value.is_string(); }))) {
    fail(path, "__metadata__ is not an object of texts");
  }
  return header;
}

}  // namespace

void SafetensorsWriter::add_bytes(std::string name, TensorType type, std::vector<int64_t> shape,
                                  std::span<const std::byte> bytes) {
  const auto has_name = [&](const Entry& entry) { return entry.name == name; };
  if (name.empty() || name == "__metadata__" || std::ranges::any_of(entries_, has_name)) {
    throw UsageError(fmt::format("tensor name '{}' is empty, reserved or used twice", name));
  }
  const auto n_values = static_cast<int64_t>(bytes.size() / type_name(type).size);
  if (element_count(shape) != n_values) {
    throw UsageError(fmt::format("tensor '{}': {} values for a shape of [{}]", name, n_values, fmt::join(shape, ", ")));
  }
  entries_.push_back({std::move(name), type, std::move(shape), bytes});
}

void SafetensorsWriter::write(const std::filesystem::path& path) const {
  // Wide elements first: with a padded header every tensor is then aligned, and no hole is needed between them.
  std::vector<const Entry*> order;
  for (const Entry& entry : entries_) order.push_back(&entry);
  std::ranges::sort(order, [](const Entry* a, const Entry* b) {
    const auto rank = [](const Entry* e) { return std::make_tuple(kAlignment - type_name(e->type).size, e->name); };
    return rank(a) < rank(b);
  });

  nlohmann::json header = nlohmann::json::object();
  uint64_t offset = 0;
  for (const Entry* entry : order) {
    const uint64_t end = offset + entry->bytes.size();
    header[entry->name] = {
        {"dtype", type_name(entry->type).name}, {"shape", entry->shape}, {"data_offsets", {offset, end}}};
    offset = end;
  }
  std::string text = header.dump();
  text.resize((text.size() + kAlignment - 1) / kAlignment * kAlignment, ' ');
  const uint64_t length = text.size();

  OutputFile file(path);
  file.append(std::as_bytes(std::span(&length, 1)));
  file.append(text);
  for (const Entry* entry : order) file.append(entry->bytes);
  file.finish();
}

SafetensorsFile::SafetensorsFile(const std::filesystem::path& path) : path_(path) {
  map();
  try {
    parse();
  } catch (...) {
    unmap();
    throw;
  }
}

SafetensorsFile::~SafetensorsFile() { unmap(); }

SafetensorsFile::SafetensorsFile(SafetensorsFile&& other) noexcept { *this = std::move(other); }

SafetensorsFile& SafetensorsFile::operator=(SafetensorsFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  std::swap(tensors_, other.tensors_);
  return *this;
}

void SafetensorsFile::map() {
  const int descriptor = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) throw_cannot_read(path_);
  struct stat status {};
  if (::fstat(descriptor, &status) != 0 || !S_ISREG(status.st_mode)) {
    ::close(descriptor);
    fail(path_, "not a regular file");
  }
  size_ = static_cast<size_t>(status.st_size);
  void* mapped = size_ == 0 ? nullptr : ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, descriptor, 0);
  const int code = errno;
  ::close(descriptor);
  errno = code;
  if (mapped == MAP_FAILED) throw_errno("cannot map", path_);
  data_ = static_cast<const std::byte*>(mapped);
}

void SafetensorsFile::unmap() noexcept {
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
  data_ = nullptr;
  size_ = 0;
}

void SafetensorsFile::parse() {
  if (size_ < kLengthBytes) fail(path_, fmt::format("{} bytes, expected at least {}", size_, kLengthBytes));
  uint64_t header_bytes = 0;
  std::memcpy(&header_bytes, data_, kLengthBytes);
  if (header_bytes > kMaxHeaderBytes || header_bytes > size_ - kLengthBytes) {
    fail(path_, fmt::format("header: expected {} bytes, found {}", header_bytes, size_ - kLengthBytes));
  }
  const nlohmann::json header =
      parse_header(path_, {reinterpret_cast<const char*>(data_ + kLengthBytes), static_cast<size_t>(header_bytes)});
  std::map<std::string, HeaderEntry, std::less<>> entries;
  for (const auto& [name, value] : header.items()) {
    if (name != "__metadata__") entries.emplace(name, parse_entry(path_, name, value));
  }
  std::vector<std::pair<uint64_t, std::string>> order;
  for (const auto& [name, entry] : entries) order.emplace_back(entry.begin, name);
  std::ranges::sort(order, [&](const auto& a, const auto& b) {  // an empty tensor comes before the one at its offset
    return std::tie(a.first, entries.at(a.second).end) < std::tie(b.first, entries.at(b.second).end);
  });

  const uint64_t base = kLengthBytes + header_bytes;
  const uint64_t available = size_ - base;
  uint64_t used = 0;
  for (const auto& [begin, name] : order) {
    HeaderEntry& entry = entries.at(name);
    const size_t element = type_name(entry.type).size;
    if (begin != used) fail(path_, name, fmt::format("begins at byte {}, expected {}", begin, used));
    if (entry.end > available) {
      const uint64_t found = available > begin ? available - begin : 0;
      fail(path_, name, fmt::format("expected {} bytes, found {}", entry.end - begin, found));
    }
    if ((base + begin) % element != 0) {
      fail(path_, name, fmt::format("at byte {} of the file, expected a multiple of {}", base + begin, element));
    }
    used = entry.end;
    tensors_.emplace(name, Entry{entry.type, std::move(entry.shape), {data_ + base + begin, entry.end - begin}});
  }
  if (used != available) fail(path_, fmt::format("expected {} bytes of tensors, found {}", used, available));
}

std::vector<std::string> SafetensorsFile::names() const {
  std::vector<std::string> names;
  for (const auto& [name, entry] : tensors_) names.push_back(name);
  return names;
}

const SafetensorsFile::Entry& SafetensorsFile::find(std::string_view name) const {
  const auto entry = tensors_.find(name);
  if (entry == tensors_.end()) {
    fail(path_, fmt::format("no tensor '{}'; it has: {}", name, text::shown_list(names())));
  }
  return entry->second;
}

std::span<const std::byte> SafetensorsFile::bytes_of(std::string_view name, TensorType type) const {
  const Entry& entry = find(name);
  if (entry.type != type) {
    fail(path_, std::string(name),
         fmt::format("holds {}, expected {}", type_name(entry.type).name, type_name(type).name));
  }
  return entry.bytes;
}

}  // namespace sheaf::io
