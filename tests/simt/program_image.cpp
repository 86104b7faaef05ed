#include "tests/simt/program_image.hpp"

#include <cxxabi.h>
#include <elf.h>
#include <link.h>

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>
#include <sstream>

namespace simt {
namespace {

// The program is the first object that the loader lists.
uintptr_t load_address() {
  uintptr_t base = 0;
  dl_iterate_phdr(
      [](dl_phdr_info* info, size_t, void* result) {
        *static_cast<uintptr_t*>(result) = info->dlpi_addr;
        return 1;
      },
      &base);
  return base;
}

class Image {
 public:
  Image() : base_(load_address()) {
    std::ifstream file("/proc/self/exe", std::ios::binary);
    bytes_.assign(std::istreambuf_iterator<char>(file), {});
    ElfW(Ehdr) header;
    if (bytes_.size() < sizeof(header)) return;
    std::memcpy(&header, bytes_.data(), sizeof(header));
    sections_.resize(header.e_shnum);
    if (header.e_shoff + sections_.size() * sizeof(ElfW(Shdr)) > bytes_.size()) sections_.clear();
    if (sections_.empty()) return;
    std::memcpy(sections_.data(), bytes_.data() + header.e_shoff, sections_.size() * sizeof(ElfW(Shdr)));
    names_ = bytes_.data() + sections_[header.e_shstrndx].sh_offset;
  }

  const std::vector<ElfW(Shdr)>& sections() const { return sections_; }
  const char* name(const ElfW(Shdr) & section) const { return names_ + section.sh_name; }
  unsigned char* memory(const ElfW(Shdr) & section) const {
    return reinterpret_cast<unsigned char*>(base_ + section.sh_addr);
  }

  /// Mangled; null when the symbol table has no function there.
  const char* symbol_at(const void* address) const {
    const uintptr_t value = reinterpret_cast<uintptr_t>(address) - base_;
    for (const auto& table : sections_) {
      if (table.sh_type != SHT_SYMTAB) continue;
      const char* strings = bytes_.data() + sections_[table.sh_link].sh_offset;
      for (size_t at = 0; at < table.sh_size; at += sizeof(ElfW(Sym))) {
        ElfW(Sym) symbol;
        std::memcpy(&symbol, bytes_.data() + table.sh_offset + at, sizeof(symbol));
        if ((symbol.st_info & 0xf) == STT_FUNC && symbol.st_value == value) return strings + symbol.st_name;
      }
    }
    return nullptr;
  }

 private:
  uintptr_t base_;
  std::vector<char> bytes_;
  std::vector<ElfW(Shdr)> sections_;
  const char* names_ = "";
};

}  // namespace

std::string function_name(const void* address) {
  const Image image;
  const char* mangled = image.symbol_at(address);
  if (!mangled) {
    std::ostringstream text;
    text << address;
    return text.str();
  }
  int status = 0;
  const std::unique_ptr<char, decltype(&std::free)> name(abi::__cxa_demangle(mangled, nullptr, nullptr, &status),
                                                         &std::free);
  const std::string full = name ? name.get() : mangled;
  const size_t parameters = full.rfind('(');
  return full.ends_with(')') ? full.substr(0, parameters) : full;
}

std::vector<std::span<unsigned char>> sections_of(const std::string& prefix) {
  const Image image;
  std::vector<std::span<unsigned char>> found;
  for (const auto& section : image.sections()) {
    if (std::string(image.name(section)).starts_with(prefix)) {
      found.emplace_back(image.memory(section), section.sh_size);
    }
  }
  return found;
}

}  // namespace simt
