//! The bearer token of a request (RFC 6750, 2.1).

use http::HeaderMap;
use http::header::AUTHORIZATION;

use super::refused::Refused;

const SCHEME: &str = "bearer";

/// The token of a request, if it has one.
pub(super) fn token(headers: &HeaderMap) -> Result<Option<&str>, Refused> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(Refused::SeveralTokens);
    }
    let text = value.to_str().map_err(|_| Refused::NotBearer)?;
    let (scheme, token) = text.split_once(' ').ok_or(Refused::NotBearer)?;
    let token = token.trim();
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
    if !scheme.eq_ignore_ascii_case(SCHEME) || token.is_empty() || !token.bytes().all(is_token) {
        return Err(Refused::NotBearer);
    }
    Ok(Some(token))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(values: &[&str]) -> Result<Option<String>, Refused> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, value.parse().unwrap());
        }
        token(&headers).map(|token| token.map(str::to_owned))
    }

    #[test]
    fn reads_one_bearer_token() {
        assert_eq!(read(&[]), Ok(None));
        assert_eq!(
            read(&["Bearer a.b-c_d~e+f/g="]),
            Ok(Some("a.b-c_d~e+f/g=".to_owned()))
        );
        assert_eq!(read(&["bearer  x"]), Ok(Some("x".to_owned())));
        assert_eq!(read(&["Bearer a", "Bearer a"]), Err(Refused::SeveralTokens));
        for invalid in [
            "Basic abc",
            "Bearer",
            "Bearer ",
            "Bearer a b",
            "a",
            "Bearer \u{e9}",
        ] {
            assert_eq!(read(&[invalid]), Err(Refused::NotBearer), "{invalid}");
        }
    }
}
