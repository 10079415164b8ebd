#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>

#include "tests/support/await.h"
#include "tests/support/embedded_origin.h"
#include "tests/support/temp_dir.h"
#include "tests/support/test_certificate.h"
#include "tests/unit/fetch/http/curl_transport_fixture.h"
#include "tests/unit/fetch/http/socket_server.h"

namespace modelfs::test {
namespace {

using testing::HasSubstr;

class CurlTransportTlsTest : public CurlTransportTest {
 protected:
  void SetUp() override {
    auto server = EmbeddedOrigin::Start({.certificate_pem = certificate_.certificate_pem,
                                         .private_key_pem = certificate_.private_key_pem});
    ASSERT_TRUE(server) << server.error().what;
    server_ = std::move(*server);
  }
  const TestCertificate certificate_ = TestCertificate::Make();
  TempDir dir_;
  std::unique_ptr<EmbeddedOrigin> server_;
};

TEST_F(CurlTransportTlsTest, TrustsTheGivenBundle) {
  HttpRequest request = To(server_->Url() + "/");
  request.ca_bundle = dir_.Write("ca.pem", certificate_.certificate_pem);
  const auto response = Send(request);
  ASSERT_TRUE(response) << response.error().what;
  EXPECT_EQ(response->status, 200);
}

TEST_F(CurlTransportTlsTest, NamesTheHostOfACertificateThatItDoesNotTrust) {
  const auto response = Send(To(server_->Url() + "/"));
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().code, Errc::kDenied);
  EXPECT_THAT(response.error().what, HasSubstr("certificate of host 127.0.0.1"));
  EXPECT_THAT(response.error().what, HasSubstr("ca_bundle"));
}

TEST_F(CurlTransportTlsTest, DoesNotReuseATrustedConnectionForWhoDoesNotTrust) {
  HttpRequest request = To(server_->Url() + "/");
  request.ca_bundle = dir_.Write("ca.pem", certificate_.certificate_pem);
  ASSERT_TRUE(Send(request));
  request.ca_bundle.clear();
  EXPECT_EQ(Send(request).error().code, Errc::kDenied);
}

TEST_F(CurlTransportTlsTest, SaysThatTheBundleCannotBeUsed) {
  HttpRequest request = To(server_->Url() + "/");
  request.ca_bundle = (dir_.path() / "absent.pem").string();
  const auto response = Send(request);
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().code, Errc::kInvalid);
  EXPECT_THAT(response.error().what, HasSubstr("absent.pem"));
}

TEST_F(CurlTransportTest, SaysThatThereIsNoTls) {
  SocketServer server([](Peer& peer, int) {
    peer.Send("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
    peer.WaitForClose();
  });
  const auto response = Send(To("https" + server.Url().substr(4)));
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().code, Errc::kInvalid);
  EXPECT_THAT(response.error().what, HasSubstr("does not speak TLS"));
}

}  // namespace
}  // namespace modelfs::test
