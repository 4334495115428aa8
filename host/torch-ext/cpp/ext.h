// Shared by all of `cpp/`: the C types of the boundary (mirrored in `src/ffi.rs`) and the guard that
// turns C++ exceptions into strings. What each function does is said in the Rust module that calls it.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/core/grad_mode.h>
#include <c10/util/Exception.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <optional>
#include <vector>

namespace tandem {

// A borrowed array.
template <class T>
struct Slice {
  const T* data;
  size_t len;

  const T* begin() const { return data; }
  const T* end() const { return data + len; }
  at::ArrayRef<T> ref() const { return at::ArrayRef<T>(data, len); }
  std::vector<T> vec() const { return std::vector<T>(begin(), end()); }
};

using Tensors = Slice<const at::Tensor*>;
using Ints = Slice<int64_t>;

// A buffer from `malloc` that Rust frees.
struct Buffer {
  char* data;
  size_t len;
};

inline std::vector<at::Tensor> list(Tensors tensors) {
  std::vector<at::Tensor> result;
  result.reserve(tensors.len);
  for (const at::Tensor* tensor : tensors) {
    result.push_back(tensor == nullptr ? at::Tensor() : *tensor);
  }
  return result;
}

inline std::optional<at::Tensor> optional(const at::Tensor* tensor) {
  return tensor == nullptr ? std::nullopt : std::optional<at::Tensor>(*tensor);
}

inline Buffer copy_out(const void* data, size_t len) {
  auto* copy = static_cast<char*>(std::malloc(len == 0 ? 1 : len));
  TORCH_CHECK(copy != nullptr, "out of memory");
  std::memcpy(copy, data, len);
  return {copy, len};
}

// A null message means success, so a message must not be lost to a failed `strdup`.
inline char* message(const char* text) noexcept {
  char* copy = strdup(text);
  if (copy == nullptr) std::terminate();
  return copy;
}

// Runs `body`: null, or the message of the exception that it threw, without the C++ backtrace.
template <class F>
char* guard(F&& body) noexcept {
  try {
    body();
    return nullptr;
  } catch (const c10::Error& error) {
    return message(error.what_without_backtrace());
  } catch (const std::exception& error) {
    return message(error.what());
  } catch (...) {
    return message("unknown C++ exception");
  }
}

}  // namespace tandem
