#pragma once

#include <string>
#include <vector>

namespace modelfs::fs {

/// Rows of text in columns that are as wide as they must be, two blanks apart.
class TextTable {
 public:
  explicit TextTable(std::vector<std::string> head) { rows_.push_back(std::move(head)); }
  void Add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  /// With a line break after each row; no blanks at the ends.
  std::string Text() const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace modelfs::fs
