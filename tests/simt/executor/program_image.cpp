#include "tests/simt/executor/program_image.hpp"

#include <cxxabi.h>
#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <string_view>

namespace simt {
namespace {

// The program is the first object that the loader lists.
dl_phdr_info program() {
  dl_phdr_info found{};
  dl_iterate_phdr(
      [](dl_phdr_info* info, size_t, void* result) {
        *static_cast<dl_phdr_info*>(result) = *info;
        return 1;
      },
      &found);
  return found;
}

// Mapped for as long as the program runs.
std::string_view program_bytes() {
  static const std::string_view bytes = [] {
    const int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    struct stat facts {};
    if (file < 0 || fstat(file, &facts) != 0) throw std::runtime_error("simt: cannot open the program's own file");
    const auto size = static_cast<size_t>(facts.st_size);
    void* mapping = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file, 0);
    close(file);
    if (mapping == MAP_FAILED) throw std::runtime_error("simt: cannot map the program's own file");
    return std::string_view(static_cast<const char*>(mapping), size);
  }();
  return bytes;
}

/// visit(symbol, mangled name) for every entry of the symbol table, until it returns false.
template <class Visit>
void for_each_symbol(const Visit& visit) {
  const std::string_view bytes = program_bytes();
  const auto read = [&](auto& value, size_t at) { std::memcpy(&value, bytes.data() + at, sizeof(value)); };
  ElfW(Ehdr) header;
  if (bytes.size() < sizeof(header)) return;
  read(header, 0);
  for (size_t section = 0; section < header.e_shnum; ++section) {
    ElfW(Shdr) table, strings;
    read(table, header.e_shoff + section * sizeof(table));
    if (table.sh_type != SHT_SYMTAB) continue;
    read(strings, header.e_shoff + table.sh_link * sizeof(strings));
    for (size_t at = 0; at < table.sh_size; at += sizeof(ElfW(Sym))) {
      ElfW(Sym) symbol;
      read(symbol, table.sh_offset + at);
      if (!visit(symbol, bytes.data() + strings.sh_offset + symbol.st_name)) return;
    }
  }
}

unsigned type_of(const ElfW(Sym) & symbol) { return symbol.st_info & 0xfu; }

// "void a::f<int>(b::C (*)(int))" becomes "void a::f<int>".
std::string without_parameters(const std::string& signature) {
  if (!signature.ends_with(')')) return signature;
  size_t at = signature.size();
  int depth = 0;
  do {
    --at;
    depth += signature[at] == ')' ? 1 : signature[at] == '(' ? -1 : 0;
  } while (depth > 0 && at > 0);
  return signature.substr(0, at);
}

std::string mangled_name(const void* address) {
  const uintptr_t value = reinterpret_cast<uintptr_t>(address) - program().dlpi_addr;
  std::string mangled;
  for_each_symbol([&](const ElfW(Sym) & symbol, const char* name) {
    if (type_of(symbol) == STT_FUNC && symbol.st_value == value) mangled = name;
    return mangled.empty();
  });
  return mangled;
}

}  // namespace

std::string function_name(const void* address) {
  const std::string mangled = mangled_name(address);
  if (mangled.empty()) {
    std::ostringstream text;
    text << address;
    return text.str();
  }
  int status = 0;
  const std::unique_ptr<char, decltype(&std::free)> name(
      abi::__cxa_demangle(mangled.c_str(), nullptr, nullptr, &status), &std::free);
  return without_parameters(name ? name.get() : mangled);
}

std::vector<SharedVariable> shared_variables() {
  std::vector<SharedVariable> found;
  size_t n_symbols = 0;
  for_each_symbol([&](const ElfW(Sym) & symbol, const std::string& name) {
    ++n_symbols;
    if (type_of(symbol) == STT_TLS && name.find(SIMT_SHARED_TAG) != name.npos)
      found.push_back({symbol.st_value, symbol.st_size});
    return true;
  });
  if (n_symbols == 0) throw std::runtime_error("simt: the program is stripped; the executor needs its symbol table");
  return found;
}

// The Itanium ABI names a variable inside the function _Z<f> as _ZZ<f>E<variable>.
size_t shared_bytes_inside(const void* function) {
  const std::string mangled = mangled_name(function);
  if (!mangled.starts_with("_Z")) return 0;
  const std::string inside = "_ZZ" + mangled.substr(2) + "E";
  size_t sum = 0;
  for_each_symbol([&](const ElfW(Sym) & symbol, const std::string& name) {
    const bool is_shared = type_of(symbol) == STT_TLS && name.find(SIMT_SHARED_TAG) != name.npos;
    if (is_shared && name.starts_with(inside)) sum += symbol.st_size;
    return true;
  });
  return sum;
}

unsigned char* thread_block() { return static_cast<unsigned char*>(program().dlpi_tls_data); }

}  // namespace simt
