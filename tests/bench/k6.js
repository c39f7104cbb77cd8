// k6 as fast as it goes: every virtual user asks again as soon as it was answered.
import http from "k6/http";

export default function () {
  http.get(__ENV.URL);
}
