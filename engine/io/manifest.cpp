#include "engine/io/manifest.hpp"

#include <fmt/format.h>
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/sha.h>

#include <cmath>
#include <cstdio>
#include <limits>
#include <memory>
#include <set>
#include <system_error>
#include <vector>

#include "engine/data/shown.hpp"
#include "engine/io/file_io.hpp"
#include "kernels/core/error.hpp"
#include "kernels/core/interrupt.hpp"

namespace sheaf::io {
namespace fs = std::filesystem;
namespace {

constexpr const char* kSeal = "sha256";
constexpr size_t kHexDigits = 64;

// OpenSSL's older interface takes no memory. The newer one takes some for its start, and crashes where it gets none.
class Sha256 {
 public:
  Sha256() { SHA256_Init(&state_); }
  void add(const void* bytes, size_t n) { SHA256_Update(&state_, bytes, n); }
  std::string hex() {
    unsigned char hash[SHA256_DIGEST_LENGTH];
    SHA256_Final(hash, &state_);
    std::string hex;
    for (const unsigned char byte : hash) hex += fmt::format("{:02x}", byte);
    return hex;
  }

 private:
  SHA256_CTX state_;
};

}  // namespace

std::string sha256_file(const fs::path& path) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"), &std::fclose);
  if (!file) throw_cannot_read(path);
  Sha256 digest;
  std::vector<unsigned char> block(size_t{1} << 20);
  for (size_t n; (n = std::fread(block.data(), 1, block.size(), file.get())) > 0;) {
    check_interrupt();
    digest.add(block.data(), n);
  }
  if (std::ferror(file.get()) != 0) throw_cannot_read(path);
  return digest.hex();
}

std::string sha256_text(std::string_view text) {
  Sha256 digest;
  digest.add(text.data(), text.size());
  return digest.hex();
}

std::string sealed_text(nlohmann::json manifest) {
  const std::string zeros(kHexDigits, '0');
  manifest[kSeal] = zeros;
  const auto text_of = [&] { return manifest.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n"; };
  manifest[kSeal] = sha256_text(text_of());
  return text_of();
}

std::string seal_fault(std::string text, const nlohmann::json& manifest) {
  if (!manifest.contains(kSeal) || !manifest[kSeal].is_string()) return "has no sha256 of its own";
  const auto seal = manifest[kSeal].get<std::string>();
  const size_t at = text.find('"' + seal + '"');
  if (seal.size() != kHexDigits || at == std::string::npos) return "the sha256 of its own is damaged";
  const std::string found = sha256_text(text.replace(at + 1, kHexDigits, kHexDigits, '0'));
  return found == seal ? std::string() : fmt::format("was changed: its sha256 is {}, expected {}", found, seal);
}

nlohmann::json try_manifest(const fs::path& folder) {
  std::error_code ignored;
  if (!fs::exists(folder / kManifest, ignored)) return nlohmann::json::value_t::discarded;
  return nlohmann::json::parse(read_file(folder / kManifest), nullptr, /*allow_exceptions=*/false);
}

std::string kind_of(const nlohmann::json& manifest) {
  return manifest.is_object() && manifest.contains("kind") && manifest["kind"].is_string()
             ? manifest["kind"].get<std::string>()
             : std::string();
}

std::string foreign_file(const fs::path& folder, const nlohmann::json& manifest) {
  std::set<std::string> ours{kManifest};
  if (manifest.contains("files") && manifest["files"].is_object()) {
    for (const auto& [name, sealed] : manifest["files"].items()) {
      for (fs::path path = name; !path.empty() && ours.insert(path.generic_string()).second;) path = path.parent_path();
    }
  }
  std::string first;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    const std::string name = entry.path().lexically_relative(folder).generic_string();
    if (!ours.contains(name) && (first.empty() || name < first)) first = name;
  }
  return first;
}

int64_t count_at(const nlohmann::json& manifest, const char* key, int64_t least) {
  constexpr int64_t kMost = std::numeric_limits<int32_t>::max();
  const nlohmann::json found = manifest.contains(key) ? manifest[key] : nlohmann::json();
  // Beyond 2^63 get<int64_t>() wraps to a negative number.
  if (!found.is_number_integer() || found.get<int64_t>() < least || found.get<int64_t>() > kMost) {
    throw DataError(fmt::format("manifest.json: {} is {}, expected a whole number from {} to {}", key,
                                text::shown(found.dump()), least, kMost));
  }
  return found.get<int64_t>();
}

double number_at(const nlohmann::json& manifest, const char* key) {
  const nlohmann::json found = manifest.contains(key) ? manifest[key] : nlohmann::json();
  if (!found.is_number() || !std::isfinite(found.get<double>())) {
    throw DataError(fmt::format("manifest.json: {} is {}, expected a number", key, text::shown(found.dump())));
  }
  return found.get<double>();
}

}  // namespace sheaf::io
