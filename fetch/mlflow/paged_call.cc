#include "fetch/mlflow/paged_call.h"

#include <fmt/format.h>

#include "fetch/mlflow/mlflow_json.h"

namespace modelfs::fetch {
namespace {

constexpr int kMaxPages = 10'000;

class Pages : public std::enable_shared_from_this<Pages> {
 public:
  Pages(std::shared_ptr<MlflowClient> client, std::string path, MlflowClient::Query query,
        std::move_only_function<void(const nlohmann::json&)> take, Done<void> done)
      : client_(std::move(client)),
        path_(std::move(path)),
        query_(std::move(query)),
        take_(std::move(take)),
        done_(std::move(done)) {}

  void Next() {
    MlflowClient::Query query = query_;
    if (!token_.empty()) query.emplace_back("page_token", token_);
    client_->Get(path_, query, [self = shared_from_this()](Result<nlohmann::json> page) {
      self->Take(std::move(page));
    });
  }

 private:
  void Take(Result<nlohmann::json> page) {
    if (!page) return Finish(std::unexpected(std::move(page.error())));
    take_(*page);
    std::string token = JsonText(*page, "next_page_token");
    if (token.empty()) return Finish({});
    if (token == token_ || ++pages_ >= kMaxPages) {
      return Finish(Fail(Errc::kCorrupt, fmt::format("GET {}: its pages have no end", path_)));
    }
    token_ = std::move(token);
    Next();
  }
  void Finish(Result<void> result) { std::exchange(done_, nullptr)(std::move(result)); }

  const std::shared_ptr<MlflowClient> client_;
  const std::string path_;
  const MlflowClient::Query query_;
  std::move_only_function<void(const nlohmann::json&)> take_;
  Done<void> done_;
  std::string token_;
  int pages_ = 0;
};

}  // namespace

void GetPages(const std::shared_ptr<MlflowClient>& client, const std::string& path,
              const MlflowClient::Query& query,
              std::move_only_function<void(const nlohmann::json& page)> take, Done<void> done) {
  std::make_shared<Pages>(client, path, query, std::move(take), std::move(done))->Next();
}

}  // namespace modelfs::fetch
