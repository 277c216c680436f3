#include "json.hpp"

#include <charconv>
#include <cmath>

#include "errors.hpp"

namespace ppresnet {
namespace {

constexpr int kDeepest = 64;

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  Json document() {
    Json result = value(0);
    blank();
    if (at_ != text_.size()) fail("the end");
    return result;
  }

 private:
  [[noreturn]] void fail(const std::string& expected) const {
    throw RequestError("not JSON: expected " + expected + " at byte " + std::to_string(at_));
  }

  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }

  void blank() {
    while (at_ < text_.size() && std::string_view(" \t\r\n").find(text_[at_]) != std::string_view::npos) ++at_;
  }

  bool take(std::string_view token) {
    if (text_.substr(at_, token.size()) != token) return false;
    at_ += token.size();
    return true;
  }

  void expect(std::string_view token) {
    if (!take(token)) fail("'" + std::string(token) + "'");
  }

  Json value(int depth) {
    if (depth > kDeepest) fail("at most 64 levels");
    blank();
    switch (peek()) {
      case '{': return object(depth);
      case '[': return array(depth);
      case '"': return Json(string());
      case 't': expect("true"); return Json(true);
      case 'f': expect("false"); return Json(false);
      case 'n': expect("null"); return Json(nullptr);
      default: return Json(number());
    }
  }

  Json object(int depth) {
    Json::Object members;
    expect("{");
    blank();
    if (take("}")) return Json(std::move(members));
    do {
      blank();
      std::string key = string();
      blank();
      expect(":");
      if (!members.emplace(std::move(key), value(depth + 1)).second) fail("each key once, before");
      blank();
    } while (take(","));
    expect("}");
    return Json(std::move(members));
  }

  Json array(int depth) {
    Json::Array items;
    expect("[");
    blank();
    if (take("]")) return Json(std::move(items));
    do {
      items.push_back(value(depth + 1));
      blank();
    } while (take(","));
    expect("]");
    return Json(std::move(items));
  }

  std::string string() {
    std::string result;
    expect("\"");
    while (!take("\"")) {
      if (static_cast<unsigned char>(peek()) < 0x20) fail("a character of a string");
      if (take("\\")) {
        escape(result);
      } else {
        result += text_[at_++];
      }
    }
    return result;
  }

  void escape(std::string& result) {
    static constexpr std::string_view kNames = "\"\\/bfnrt", kMeant = "\"\\/\b\f\n\r\t";
    const std::size_t simple = at_ < text_.size() ? kNames.find(text_[at_]) : std::string_view::npos;
    if (simple != std::string_view::npos) {
      ++at_;
      result += kMeant[simple];
      return;
    }
    std::uint32_t code = unit();
    if (code >= 0xDC00 && code < 0xE000) fail("the first half of a pair, before");
    if (code >= 0xD800 && code < 0xDC00) {
      expect("\\");
      const std::uint32_t low = unit();
      if (low < 0xDC00 || low >= 0xE000) fail("the second half of a pair, before");
      code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
    }
    append_utf8(result, code);
  }

  std::uint32_t unit() {
    expect("u");
    std::uint32_t code = 0;
    const char* first = text_.data() + at_;
    const std::size_t left = text_.size() - at_;
    if (left < 4 || std::from_chars(first, first + 4, code, 16).ptr != first + 4) fail("four hexadecimal digits");
    at_ += 4;
    return code;
  }

  static void append_utf8(std::string& result, std::uint32_t code) {
    if (code < 0x80) {
      result += static_cast<char>(code);
      return;
    }
    const int more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    const int lead = more == 1 ? 0xC0 : more == 2 ? 0xE0 : 0xF0;
    result += static_cast<char>(lead | code >> 6 * more);
    for (int i = more - 1; i >= 0; --i) result += static_cast<char>(0x80 | (code >> 6 * i & 0x3F));
  }

  void digits() {
    const std::size_t start = at_;
    while (peek() >= '0' && peek() <= '9') ++at_;
    if (at_ == start) fail("a digit");
  }

  double number() {
    const std::size_t start = at_;
    take("-");
    if (!take("0")) digits();
    if (take(".")) digits();
    if (take("e") || take("E")) {
      if (!take("+")) take("-");
      digits();
    }
    double result = 0;
    const auto parsed = std::from_chars(text_.data() + start, text_.data() + at_, result);
    if (parsed.ec != std::errc()) fail("a number that fits a double, before");
    return result;
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

}  // namespace

Json Json::parse(std::string_view text) { return Parser(text).document(); }

std::int64_t Json::integer(std::int64_t lowest, std::int64_t highest) const {
  const double found = number();
  if (found != std::floor(found) || found < static_cast<double>(lowest) || found > static_cast<double>(highest)) {
    wrong("an integer from " + std::to_string(lowest) + " to " + std::to_string(highest));
  }
  return static_cast<std::int64_t>(found);
}

const Json& Json::at(const std::string& key) const {
  const auto found = object().find(key);
  if (found == object().end()) wrong("the key '" + key + "'");
  return found->second;
}

const Json& Json::at(std::size_t index) const {
  if (index >= array().size()) wrong("a list with more items");
  return array()[index];
}

void Json::wrong(const std::string& expected) { throw RequestError("expected " + expected + ", found something else"); }

}  // namespace ppresnet
