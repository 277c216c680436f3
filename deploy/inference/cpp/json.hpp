// A strict reader of JSON (RFC 8259): no duplicate keys, no trailing bytes, at most 64 levels.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace ppresnet {

class Json {
 public:
  using Array = std::vector<Json>;
  using Object = std::map<std::string, Json>;
  using Value = std::variant<std::nullptr_t, bool, double, std::string, Array, Object>;

  Json() = default;
  explicit Json(Value value) : value_(std::move(value)) {}

  // Throws RequestError naming the byte where the text stops being JSON.
  static Json parse(std::string_view text);

  // The value as what it must be; each throws RequestError when it is something else.
  bool is_null() const { return std::holds_alternative<std::nullptr_t>(value_); }
  double number() const { return as<double>("a number"); }
  std::int64_t integer(std::int64_t lowest, std::int64_t highest) const;
  const std::string& string() const { return as<std::string>("a string"); }
  const Array& array() const { return as<Array>("a list"); }
  const Object& object() const { return as<Object>("an object"); }
  const Json& at(const std::string& key) const;
  const Json& at(std::size_t index) const;

 private:
  template <typename T>
  const T& as(const char* expected) const {
    if (const T* found = std::get_if<T>(&value_)) return *found;
    wrong(expected);
  }
  [[noreturn]] static void wrong(const std::string& expected);

  Value value_ = nullptr;
};

}  // namespace ppresnet
