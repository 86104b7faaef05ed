#pragma once
/// Matrices of floats that other programs wrote: .npy of NumPy (https://numpy.org/doc/stable/reference/
/// generated/numpy.lib.format.html, versions 1 to 3) and .safetensors.

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace sheaf::data {

struct VectorFile {
  int64_t rows = 0, dim = 0;
  std::vector<float> values;  // [rows, dim]
};

/// A matrix of little-endian f16, f32 or f64 elements; of a .safetensors the tensor of that name, or the only one where
/// the name is empty. DataError that names the file for anything else: another ending, type or shape, a file that is
/// longer or shorter than it says, a value that is not finite in 32 bits (with its row from 0).
VectorFile read_vectors(const std::filesystem::path& path, const std::string& tensor);

}  // namespace sheaf::data
